package policies

import (
	"fmt"
	"iter"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies/statefulset"
)

// SetNames yields the possible names of the StatefulSet of a claim, given the claim's name without its ordinal. A claim is named
// template-set-ordinal, and the set's name may begin after any dash.
func SetNames(claim string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(claim) {
			if claim[i] == '-' && !yield(claim[i+1:]) {
				return
			}
		}
	}
}

// ClaimantOf returns the StatefulSet whose templates name the claim, or nil.
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

// mostNames is how many claims or Pods are read by name, with one request each.
const mostNames = 16

// ClaimsOf returns the existing claims of these ordinals of the StatefulSet. It reads a few claims by name, so that their absence
// is certain.
func ClaimsOf(set *appsv1.StatefulSet, of statefulset.Ranges, c Cluster) (claims []*corev1.PersistentVolumeClaim, known bool, err error) {
	templates := set.Spec.VolumeClaimTemplates
	if of.Count()*int64(len(templates)) > mostNames {
		return ClaimsNamedFor(set, c, func(claim *corev1.PersistentVolumeClaim) bool {
			n, ok := statefulset.ClaimOrdinal(set, claim)
			return ok && of.Has(n)
		})
	}
	known = true
	for i := range templates {
		for n := range of.All() {
			claim, sure, err := Get[*corev1.PersistentVolumeClaim](c, set.Namespace, fmt.Sprintf("%s-%s-%d", templates[i].Name, set.Name, n))
			if err != nil {
				return nil, false, err
			}
			known = known && sure
			if claim != nil {
				claims = append(claims, claim)
			}
		}
	}
	return claims, known, nil
}

// ClaimsTakenBy returns the claims that are deleted with the StatefulSet.
func ClaimsTakenBy(set *appsv1.StatefulSet, c Cluster) (taken []*corev1.PersistentVolumeClaim, known bool, err error) {
	members, known, err := ClaimsOf(set, statefulset.Ranges{statefulset.OrdinalsOf(set)}, c)
	if err != nil {
		return nil, false, err
	}
	for _, claim := range members {
		if statefulset.Takes(set, claim) {
			taken = append(taken, claim)
		}
	}
	others, sure, err := By(c, ownedClaims, set.Namespace, []string{string(set.UID)}, func(claim *corev1.PersistentVolumeClaim) bool {
		return statefulset.Owns(set, claim) && !hasName(taken, claim.Name)
	})
	return append(taken, others...), known && sure, err
}
