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
	Doc: `Under whenScaled: Retain a scale-down keeps the claims of the Pods that go, and scaling up again gives each Pod
its own claim back. Until then nothing uses them, so that they look like leftovers, and who tidies them away deletes the
only copy of what those Pods had not handed over. Under whenScaled: Delete the owner has said that they may go. A
StatefulSet that is deleted under whenDeleted: Retain leaves its claims in the same way, so that it can be made again where
it was. Nothing but their name and who made them tells that they were its own: a claim that ends in an ordinal and was made
by a controller, which its managedFields remember, counts as one.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.PersistentVolumeClaim, remove)},
	Checks: []policies.Check{
		{Name: "kept", Doc: "the claim was kept for an ordinal that the StatefulSet does not have at present"},
		{Name: "left", Doc: "the claim was kept when its StatefulSet was deleted"},
		{Name: "recent", Doc: "the claim was kept when its StatefulSet was deleted, not longer than keepFor ago"},
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

// keeps tells whether the StatefulSet keeps the claim for an ordinal that it does not have at present. The claim of an
// ordinal that is wanted is delete-protection's.
func keeps(set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) bool {
	n, _ := statefulset.ClaimOrdinal(set, claim)
	return !statefulset.OrdinalsOf(set).Has(n) && set.DeletionTimestamp == nil && !statefulset.DeletesWithScale(set)
}
