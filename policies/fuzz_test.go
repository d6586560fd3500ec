package policies_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// hostileChange deletes a claim in a namespace with labels.
func hostileChange() (policies.Change, policies.Snapshot) {
	claim := &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data-db-0", Labels: map[string]string{"app": "db", "n": "9999"}},
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "x"}}}
	snapshot := policies.Snapshot{Complete: true}
	snapshot.Objects = append(snapshot.Objects, namespace, claim)
	return policies.Change{Operation: admissionv1.Delete, Old: claim, Time: time.Unix(0, 0)}, snapshot
}

// FuzzPolicy compiles any text that is a policy and judges with it. It may be refused; it may not panic.
func FuzzPolicy(f *testing.F) {
	f.Add("spec: {rules: {scaleDown: {action: Deny, maxStep: 1, minReplicas: 3}}}")
	f.Add("spec: {match: {namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [x]}]}}, rules: {retentionPolicy: {action: Deny, require: {whenDeleted: Retain}}}}")
	f.Add("spec: {mode: Audit, match: {exclude: {users: [a], namespaces: ['*']}}, rules: {claimTemplate: {action: Warn, minSize: 1Gi, maxSize: 1Mi}}}")
	f.Add("spec: {match: {objectSelector: {matchExpressions: [{key: '', operator: Nothing}]}}}")
	ch, snapshot := hostileChange()
	f.Fuzz(func(t *testing.T, text string) {
		var policy v1alpha1.StatefulPolicy
		if yaml.UnmarshalStrict([]byte(text), &policy) != nil {
			return
		}
		set, err := policies.Compile(rules.All, []v1alpha1.StatefulPolicy{policy}, policies.ProfileOff)
		if (set.Len() == 1) != (err == nil) {
			t.Fatalf("%d policies are in force, the error is %v", set.Len(), err)
		}
		if _, err := set.Judge(ch, snapshot); err != nil {
			t.Fatal(err)
		}
		if _, err := set.Default(ch, snapshot); err != nil {
			t.Fatal(err)
		}
	})
}

// TestExpensiveSelectors judges under a hundred policies whose selectors list thousands of values each.
func TestExpensiveSelectors(t *testing.T) {
	values := make([]string, 5000)
	for i := range values {
		values[i] = fmt.Sprint(i)
	}
	expression := fmt.Sprintf("{key: n, operator: %%s, values: ['%s']}", strings.Join(values, "','"))
	document := fmt.Sprintf("spec: {match: {objectSelector: {matchExpressions: [%s, %s]}}, rules: {deleteProtection: {action: Deny}}}",
		fmt.Sprintf(expression, "NotIn"), "{key: app, operator: Exists}")
	var all []v1alpha1.StatefulPolicy
	for i := range 100 {
		var policy v1alpha1.StatefulPolicy
		if i == 0 {
			if err := yaml.UnmarshalStrict([]byte(document), &policy); err != nil {
				t.Fatal(err)
			}
		} else {
			all[0].DeepCopyInto(&policy)
		}
		policy.Name = fmt.Sprintf("p%d", i)
		all = append(all, policy)
	}
	set, err := policies.Compile(rules.All, all, policies.ProfileOff)
	if err != nil {
		t.Fatal(err)
	}
	ch, snapshot := hostileChange()
	selected, err := set.Chosen(ch, snapshot)
	if err != nil || len(selected) != 100 {
		t.Fatalf("%d policies are selected: %v", len(selected), err)
	}
}
