package policies

import (
	"iter"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies/statefulset"
)

// SetNames yields what the StatefulSet may be called whose claim has this name before its ordinal. Claims are named
// template-set-ordinal, so each dash may be where the name of the StatefulSet begins.
func SetNames(claim string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(claim) {
			if claim[i] == '-' && !yield(claim[i+1:]) {
				return
			}
		}
	}
}

// ClaimantOf returns the StatefulSet that has a name for the claim, or nil.
func ClaimantOf(claim *corev1.PersistentVolumeClaim, c Cluster) (set *appsv1.StatefulSet, known bool, err error) {
	name, _, ok := statefulset.CutOrdinal(claim.Name)
	if !ok {
		return nil, true, nil
	}
	known = true
	for called := range SetNames(name) {
		set, sure, err := Get[*appsv1.StatefulSet](c, claim.Namespace, called)
		if err != nil {
			return nil, false, err
		}
		if set != nil {
			if _, ok := statefulset.ClaimOrdinal(set, claim); ok {
				return set, true, nil
			}
		}
		known = known && sure
	}
	return nil, known, nil
}
