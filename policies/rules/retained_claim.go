package rules

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var retainedClaim = policies.Rule{
	ID:    "retained-claim",
	Title: "Retained claims are not deleted by mistake",
	Doc: `With whenScaled: Retain, a scale-down keeps the claims of the removed Pods, and a scale-up gives each Pod its
claim back. In between no Pod uses them, so they look unused, and deleting them can delete the only copy of the data. With
whenScaled: Delete the owner has decided that they may be deleted. A StatefulSet that is deleted with whenDeleted: Retain
leaves its claims in the same way, so that you can create it again. Only their names and their creator show which StatefulSet
they belonged to: a claim whose name ends in an ordinal and that a controller created, according to its managedFields, counts
as one.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.PersistentVolumeClaim, remove)},
	Checks: []policies.Check{
		{Name: "kept", Doc: "a scale-down kept the claim, and the StatefulSet does not have its ordinal now"},
		{Name: "left", Doc: "the claim was kept when its StatefulSet was deleted"},
		{Name: "recent", Doc: "the claim was kept when its StatefulSet was deleted, less than keepFor ago"},
	},
	Logic: policies.Typed[v1alpha1.RetainedClaim]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.RetainedClaim { return &r.RetainedClaim },
		Baseline:   &v1alpha1.RetainedClaim{Enforcement: warn, KeepFor: &metav1.Duration{Duration: time.Hour}, Recent: v1alpha1.Deny},
		Restricted: &v1alpha1.RetainedClaim{Enforcement: deny},
		Change:     keepsRetainedClaim,
	},
}

func keepsRetainedClaim(ch policies.Change, c policies.Cluster, p v1alpha1.RetainedClaim) ([]policies.Finding, error) {
	claim := ch.Old.(*corev1.PersistentVolumeClaim)
	if claim.DeletionTimestamp != nil || statefulset.Empty(claim, nil) {
		return nil, nil
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	f := policies.Finding{
		Path: "metadata.name",
		Remedy: "keep it, or back up its data first. If nobody needs the data, annotate it and try again: " +
			policies.BypassCommand("retained-claim", claim),
	}
	set, _, err := policies.ClaimantOf(claim, c)
	unused := statefulset.UnusedSince(claim, ch.Time)
	switch {
	case err != nil:
		return nil, err
	case set == nil && statefulset.LeftBehind(claim) && p.KeepFor != nil && !unused.IsZero() && ch.Time.Sub(unused) < p.KeepFor.Duration:
		f.Check, f.Action = "recent", p.Recent
		f.Message = fmt.Sprintf("Claim %s holds the data of a StatefulSet that ran until %s; the policy keeps it for %s after that.",
			claim.Name, unused.UTC().Format(time.RFC3339), duration.HumanDuration(p.KeepFor.Duration))
	case set == nil && statefulset.LeftBehind(claim):
		f.Check = "left"
		f.Message = fmt.Sprintf("Claim %s holds the data of a deleted StatefulSet, which uses it again if it is recreated under the same name.", claim.Name)
	case set != nil && keeps(set, claim):
		n, _ := statefulset.ClaimOrdinal(set, claim)
		f.Check = "kept"
		f.Message = fmt.Sprintf("Claim %[1]s holds the data of Pod %[3]s-%[4]d, which uses it again when StatefulSet %[2]s scales up (whenScaled: Retain).",
			claim.Name, set.Name, set.Name, n)
	default:
		return nil, nil
	}
	return []policies.Finding{f}, nil
}

// keeps reports whether the claim is for an ordinal that the StatefulSet does not have at present. delete-protection judges the
// claims of the others.
func keeps(set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) bool {
	n, _ := statefulset.ClaimOrdinal(set, claim)
	return !statefulset.OrdinalsOf(set).Has(n) && set.DeletionTimestamp == nil && !statefulset.DeletesWithScale(set)
}
