package statefulset

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Selects reports whether the selector is valid and matches the labels.
func Selects(selector *metav1.LabelSelector, of map[string]string) bool {
	if selector == nil {
		return false
	}
	for key, value := range selector.MatchLabels {
		if has, ok := of[key]; !ok || has != value {
			return false
		}
	}
	if len(selector.MatchExpressions) == 0 {
		return true
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(of))
}

// Promised returns how many of the expected Pods a budget requires, computed as the disruption controller does.
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
