package rules

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var claimAtRisk = policies.Rule{
	ID:    "claim-at-risk",
	Title: "Volumes stay when claims are deleted",
	Doc: `If a StatefulSet deletes its claims (whenDeleted or whenScaled is Delete) and their volumes have the reclaim
policy Delete, one delete or scale-down destroys the data. Only a live cluster shows this.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet)},
	Checks:   []policies.Check{{Name: "reclaim", Doc: "the StatefulSet deletes its claims, and their volumes are deleted with them"}},
	Logic: policies.Typed[v1alpha1.ClaimAtRisk]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ClaimAtRisk { return &r.ClaimAtRisk },
		Baseline:   &v1alpha1.ClaimAtRisk{Enforcement: warn},
		Restricted: &v1alpha1.ClaimAtRisk{Enforcement: warn},
		Observe:    findsClaimsAtRisk,
	},
}

func findsClaimsAtRisk(o kinds.Object, c policies.Cluster, _ policies.Clock, _ v1alpha1.ClaimAtRisk) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	withSet, withScale := statefulset.DeletesWithSet(set), statefulset.DeletesWithScale(set)
	field, when := "whenDeleted", "deleted"
	switch {
	case set.DeletionTimestamp != nil || !withSet && !withScale:
		return nil, nil
	case withSet && withScale:
		when = "deleted or scaled down"
	case withScale:
		field, when = "whenScaled", "scaled down"
	}
	claims, _, err := policies.List[*corev1.PersistentVolumeClaim](c, set.Namespace)
	if err != nil {
		return nil, err
	}
	var lost []*corev1.PersistentVolumeClaim
	var size resource.Quantity
	for _, claim := range claims {
		if _, ok := statefulset.ClaimOrdinal(set, claim); !ok || claim.Spec.VolumeName == "" {
			continue
		}
		volume, known, err := policies.Get[*corev1.PersistentVolume](c, "", claim.Spec.VolumeName)
		if err != nil || !known {
			return nil, err
		}
		if volume != nil && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			lost = append(lost, claim)
			size.Add(*claim.Spec.Resources.Requests.Storage())
		}
	}
	if len(lost) == 0 {
		return nil, nil
	}
	first := slices.MinFunc(lost, func(a, b *corev1.PersistentVolumeClaim) int { return cmp.Compare(a.Name, b.Name) })
	return []policies.Finding{{
		Check: "reclaim", Path: retentionPath + "." + field,
		Message: fmt.Sprintf("When StatefulSet %s is %s, its claims are deleted, and the volumes of %s (%s) have the reclaim policy Delete: their data is lost.",
			set.Name, when, words.Plural(len(lost), "claim"), &size),
		Remedy: fmt.Sprintf(`keep the claims: %s. Or keep each volume: kubectl patch persistentvolume %s -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`,
			policies.Patch(set, `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}`), first.Spec.VolumeName),
	}}, nil
}
