package statefulset

import (
	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// BudgetsOf returns those of the budgets that select the StatefulSet's Pods.
func BudgetsOf(set *appsv1.StatefulSet, budgets []*policyv1.PodDisruptionBudget) []*policyv1.PodDisruptionBudget {
	var own []*policyv1.PodDisruptionBudget
	for _, b := range budgets {
		if Selects(b.Spec.Selector, set.Spec.Template.Labels) {
			own = append(own, b)
		}
	}
	return own
}

// Selects tells whether the selector is valid and selects the labels.
func Selects(selector *metav1.LabelSelector, of map[string]string) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(of))
}

// Promised is how many Pods a budget wants ready of those expected, computed as the disruption controller does.
func Promised(b *policyv1.PodDisruptionBudget, expected int64) int64 {
	switch {
	case b.Spec.MinAvailable != nil:
		n, _ := intstr.GetScaledValueFromIntOrPercent(b.Spec.MinAvailable, int(expected), true)
		return int64(n)
	case b.Spec.MaxUnavailable != nil:
		n, _ := intstr.GetScaledValueFromIntOrPercent(b.Spec.MaxUnavailable, int(expected), true)
		return max(0, expected-int64(n))
	}
	return 0
}
