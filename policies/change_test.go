package policies_test

import (
	"math"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
)

// sized returns a StatefulSet with this start ordinal and size.
func sized(start, replicas int32) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, Ordinals: &appsv1.StatefulSetOrdinals{Start: start}, Selector: &metav1.LabelSelector{},
	}}
	s.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("StatefulSet"))
	s.Name, s.Namespace = "db", "shop"
	return s
}

// Replicas may be any int32, so no rule may do work in proportion to them.
func TestBillionsOfOrdinals(t *testing.T) {
	set := only(t, policy(t, "a", `rules:
  scaleDown: {action: Deny, maxStep: 1, minReplicas: 3}
  updateStrategy: {action: Deny}
  retentionPolicy: {action: Deny}
  headlessService: {action: Deny}`))
	quorum := "scale-down/quorum:Warn@a"
	for name, test := range map[string]struct {
		older, newer *appsv1.StatefulSet
		known        bool
		quorum       string
	}{
		"to less than half, readiness unknown": {sized(0, math.MaxInt32), sized(0, math.MaxInt32/2), false, quorum},
		"to less than half, none is ready":     {sized(0, math.MaxInt32), sized(0, math.MaxInt32/2), true, ""},
		"to one, readiness unknown":            {sized(0, math.MaxInt32), sized(0, 1), false, quorum},
		"from the last ordinals to the first":  {sized(math.MaxInt32, math.MaxInt32), sized(0, math.MaxInt32), false, quorum},
		"to a negative number":                 {sized(0, math.MaxInt32), sized(0, math.MinInt32), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.older.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: "Delete"}
			test.newer.Spec.PersistentVolumeClaimRetentionPolicy = test.older.Spec.PersistentVolumeClaimRetentionPolicy
			ch := policies.Change{Operation: "UPDATE", Old: test.older, New: test.newer}
			if !ch.Destructive() {
				t.Error("an update that removes ordinals is not destructive")
			}
			var got []string
			// A thousand runs, so that a loop over every ordinal would not finish.
			allocations := testing.AllocsPerRun(1000, func() { got = judge(t, set, ch, policies.Snapshot{Complete: test.known}) })
			if allocations > 10_000 {
				t.Errorf("judging it made %.0f allocations", allocations)
			}
			if slices.Contains(got, quorum) != (test.quorum != "") {
				t.Errorf("findings: %v", got)
			}
			if !slices.Contains(got, "scale-down/step:Deny@a") {
				t.Errorf("the step is not among the findings: %v", got)
			}
		})
	}
}

func TestDestructive(t *testing.T) {
	service := &corev1.Service{}
	for name, test := range map[string]struct {
		ch   policies.Change
		want bool
	}{
		"a create":                  {policies.Change{Operation: "CREATE", New: sized(0, 0)}, false},
		"a delete":                  {policies.Change{Operation: "DELETE", Old: sized(0, 0)}, true},
		"the delete of a Service":   {policies.Change{Operation: "DELETE", Old: service}, false},
		"the force-delete of a Pod": {policies.Change{Operation: "DELETE", Old: &corev1.Pod{}, DeleteOptions: metav1.NewDeleteOptions(0)}, false},
		"the update of a Service":   {policies.Change{Operation: "UPDATE", Old: service, New: service}, false},
		"fewer replicas":            {policies.Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(0, 2)}, true},
		"fewer through scale":       {policies.Change{Operation: "UPDATE", Scale: true, Old: sized(0, 3), New: sized(0, 2)}, true},
		"more replicas":             {policies.Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(0, 4)}, false},
		"equal replicas":            {policies.Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(0, 3)}, false},
		"more, from a later start":  {policies.Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(1, 5)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.ch.Destructive(); got != test.want {
				t.Errorf("destructive is %t", got)
			}
		})
	}
}
