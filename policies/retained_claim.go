package policies

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var retainedClaim = Rule{
	ID:    "retained-claim",
	Block: "retainedClaim",
	Title: "What was kept is still there when it is wanted again",
	Doc: `Under whenScaled: Retain a scale-down keeps the claims of the Pods that go, and scaling up again gives each Pod
its own claim back. Until then nothing uses them, so that they look like leftovers, and who tidies them away deletes the
only copy of what those Pods had not handed over. Under whenScaled: Delete the owner has said that they may go. A
StatefulSet that is deleted under whenDeleted: Retain leaves its claims in the same way, so that it can be made again where
it was. Nothing but their name and who made them tells that they were its own: a claim that ends in an ordinal and was made
by a controller, which its managedFields remember, counts as one.`,
	Severity: Medium,
	On:       []Trigger{{"PersistentVolumeClaim", []admissionv1.Operation{admissionv1.Delete}}},
	Checks: []Check{
		{"kept", "the claim was kept for an ordinal that the StatefulSet does not have at present"},
		{"left", "the claim was kept when its StatefulSet was deleted"},
	},
	blocks: typed(logic[v1alpha1.RetainedClaim]{
		params: func(r *v1alpha1.Rules) *v1alpha1.RetainedClaim { return r.RetainedClaim },
		change: keepsRetainedClaim,
	}),
	Cases: []Case{
		{
			Name: "the claim of an ordinal that was scaled away", Given: []string{`kind: StatefulSet`},
			Old: `{kind: PersistentVolumeClaim, metadata: {name: data-db-3}}`, Want: []string{"kept"},
		},
		{
			Name: "the claim of a StatefulSet scaled to zero", Given: []string{`{kind: StatefulSet, spec: {replicas: 0}}`},
			Old: `kind: PersistentVolumeClaim`, Want: []string{"kept"},
		},
		{
			Name: "such a claim where claims go with their Pods",
			Given: []string{
				`{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}`,
			},
			Old: `{kind: PersistentVolumeClaim, metadata: {name: data-db-3}}`,
		},
		{Name: "a claim whose StatefulSet is gone", Old: leftClaim, Want: []string{"left"}},
		{Name: "a claim of such a name that somebody made by hand", Old: `{kind: PersistentVolumeClaim, metadata: {name: data-db-3}}`},
		{
			Name: "a claim that no StatefulSet has a name for", Given: []string{`kind: StatefulSet`},
			Old: `{kind: PersistentVolumeClaim, metadata: {name: backup-3}}`,
		},
		{
			Name: "the StatefulSet's controller", Given: []string{`kind: StatefulSet`},
			User: "system:serviceaccount:kube-system:statefulset-controller",
			Old:  `{kind: PersistentVolumeClaim, metadata: {name: data-db-3}}`,
		},
	},
}

// leftClaim is a claim as a StatefulSet's controller makes it.
const leftClaim = `{kind: PersistentVolumeClaim, metadata: {name: data-old-0, managedFields: [
       {manager: kube-controller-manager, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {f:spec: {f:accessModes: {}}}}]}}`

func keepsRetainedClaim(ch Change, c Cluster, _ v1alpha1.RetainedClaim) ([]Finding, error) {
	claim := ch.Old.(*corev1.PersistentVolumeClaim)
	if claim.DeletionTimestamp != nil {
		return nil, nil
	}
	if decided, err := ch.decided(c); decided || err != nil {
		return nil, err
	}
	f := Finding{
		Path: "metadata.name",
		Remedy: "leave it, or back its data up first. If nobody needs the data, say so and try again: " +
			sayItIsMeant("retained-claim", "persistentvolumeclaim", claim),
	}
	sets, err := c.StatefulSets(claim.Namespace)
	set := setOf(claim, sets)
	switch {
	case err != nil:
		return nil, err
	case set == nil && leftBehind(claim):
		f.Check = "left"
		f.Message = fmt.Sprintf("Claim %s is no leftover: a StatefulSet that was deleted kept it, and finds its data there when it is made again under the same name.", claim.Name)
	case set != nil && keeps(set, claim):
		n, _ := ClaimOrdinal(set, claim)
		f.Check = "kept"
		f.Message = fmt.Sprintf("Claim %s is no leftover: StatefulSet %s was scaled down and kept it (whenScaled: Retain), so that Pod %s-%d finds its data when it is scaled up again.",
			claim.Name, set.Name, set.Name, n)
	default:
		return nil, nil
	}
	return []Finding{f}, nil
}

// keeps tells whether the StatefulSet keeps the claim for an ordinal that it does not have at present. The claim of an
// ordinal that is wanted is delete-protection's.
func keeps(set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) bool {
	n, _ := ClaimOrdinal(set, claim)
	whenScaled := *retentionParts(retentionOf(set))[1].value
	return !rangeOf(set).has(n) && set.DeletionTimestamp == nil && whenScaled == appsv1.RetainPersistentVolumeClaimRetentionPolicyType
}

// leftBehind tells whether a StatefulSet's controller seems to have made the claim. A generic ephemeral volume is made by a
// controller too, and belongs to its Pod.
func leftBehind(claim *corev1.PersistentVolumeClaim) bool {
	cut := strings.LastIndex(claim.Name, "-")
	if _, ordinal := ordinalOf(claim.Name, claim.Name[:max(cut, 0)]); !ordinal || metav1.GetControllerOf(claim) != nil {
		return false
	}
	return slices.ContainsFunc(claim.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		var owned map[string]any
		return entry.Manager == "kube-controller-manager" && entry.Subresource == "" && entry.FieldsV1 != nil &&
			// The binder, of the same manager, writes the spec too.
			json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) == nil && owns(owned, "spec.accessModes")
	})
}
