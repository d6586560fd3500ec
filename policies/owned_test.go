package policies_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// ownedIn is a StatefulSet in a namespace, owned by a Database with this UID, whose bound claim is deleted with it.
func ownedIn(namespace, uid string) []string {
	return []string{
		"{kind: StatefulSet, metadata: {namespace: " + namespace + ", uid: set-" + uid + ", ownerReferences: [{apiVersion: db.example.com/v1, kind: Database, name: db, uid: " + uid +
			", controller: true}]}, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}",
		"{kind: PersistentVolumeClaim, metadata: {namespace: " + namespace + "}, status: {phase: Bound}}",
	}
}

const (
	database   = "{apiVersion: db.example.com/v1, kind: Database, metadata: {namespace: shop, name: db, uid: u}}"
	definition = "{kind: CustomResourceDefinition, metadata: {name: databases.db.example.com}, spec: {group: db.example.com, names: {kind: Database, plural: databases}}}"
)

// TestOperatorOfItsOwnResource checks that an operator may delete its own custom resources, and that a tool with all rights does
// not count as an operator.
func TestOperatorOfItsOwnResource(t *testing.T) {
	for name, test := range map[string]struct {
		user    string
		cluster policies.Snapshot
		want    []string
	}{
		"its operator":                {"system:serviceaccount:db:operator", policies.Snapshot{Operates: []string{"Database"}}, []string{"owner-delete/data:Warn@a"}},
		"another account":             {"system:serviceaccount:db:backup", policies.Snapshot{}, []string{"owner-delete/data:Deny@a"}},
		"a tool that may do anything": {"system:serviceaccount:argocd:controller", policies.Snapshot{Operates: []string{"Database"}, Admin: true}, []string{"owner-delete/data:Deny@a"}},
		"a person":                    {"ada", policies.Snapshot{Operates: []string{"Database"}}, []string{"owner-delete/data:Deny@a"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := only(t, policy(t, "a", "rules: {ownerDelete: {action: Deny}}"))
			ch := change(t, database, "")
			ch.User.Username = test.user
			c := cluster(t, append(ownedIn("shop", "u"), database)...)
			c.Operates, c.Admin = test.cluster.Operates, test.cluster.Admin
			if diff := cmp.Diff(test.want, judge(t, set, ch, c)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStrictestNamespace checks that the delete of a CustomResourceDefinition is judged by every namespace that loses something,
// and that an exception must apply in all of them.
func TestStrictestNamespace(t *testing.T) {
	namespace := func(name, labels string) string {
		return "{kind: Namespace, metadata: {name: " + name + ", labels: {" + labels + "}}}"
	}
	for name, test := range map[string]struct {
		shop, pay string
		policies  []v1alpha1.StatefulPolicy
		want      []string
	}{
		"both only audit":       {"mooring.dev/mode: audit", "mooring.dev/mode: audit", nil, []string{"owner-delete/data:Audit@baseline"}},
		"one only audits":       {"mooring.dev/mode: audit", "mooring.dev/mode: warn", nil, []string{"owner-delete/data:Warn@baseline"}},
		"one enforces":          {"mooring.dev/mode: audit", "", nil, []string{"owner-delete/data:Deny@baseline"}},
		"one has no profile":    {`mooring.dev/profile: "off"`, "", nil, []string{"owner-delete/data:Deny@baseline"}},
		"neither has a profile": {`mooring.dev/profile: "off"`, `mooring.dev/profile: "off"`, nil, nil},
		"an exception in one of them": {"", "", []v1alpha1.StatefulPolicy{policy(t, "a", "match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}\nexceptions: [{rule: owner-delete, reason: previews}]")},
			[]string{"owner-delete/data:Deny@baseline"}},
		"an exception in both": {"", "", []v1alpha1.StatefulPolicy{policy(t, "a", "exceptions: [{rule: owner-delete, reason: previews}]")},
			[]string{"owner-delete/data:Warn@baseline"}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := policies.Compile(rules.All, test.policies, policies.Baseline)
			if err != nil {
				t.Fatal(err)
			}
			c := cluster(t, append(append(ownedIn("shop", "u"), ownedIn("pay", "v")...), namespace("shop", test.shop), namespace("pay", test.pay))...)
			if diff := cmp.Diff(test.want, judge(t, set, change(t, definition, ""), c)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
