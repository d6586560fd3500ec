package policies

import (
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var retainedClaim = Rule{
	ID:    "retained-claim",
	Block: "retainedClaim",
	Title: "What a scale-down kept is still there when it is undone",
	Doc: `Under whenScaled: Retain a scale-down keeps the claims of the Pods that go, and scaling up again gives each Pod
its own claim back. Until then nothing uses them, so that they look like leftovers, and who tidies them away deletes the
only copy of what those Pods had not handed over. Under whenScaled: Delete the owner has said that they may go.`,
	Severity: Medium,
	On:       []Trigger{{"PersistentVolumeClaim", []admissionv1.Operation{admissionv1.Delete}}},
	Checks: []Check{
		{"kept", "the claim was kept for an ordinal that the StatefulSet does not have at present"},
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
		{Name: "a claim whose StatefulSet is gone", Old: `{kind: PersistentVolumeClaim, metadata: {name: data-db-3}}`},
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

func keepsRetainedClaim(ch Change, c Cluster, _ v1alpha1.RetainedClaim) ([]Finding, error) {
	claim := ch.Old.(*corev1.PersistentVolumeClaim)
	if claim.DeletionTimestamp != nil {
		return nil, nil
	}
	if decided, err := ch.decided(c); decided || err != nil {
		return nil, err
	}
	sets, err := c.StatefulSets(claim.Namespace)
	for _, set := range sets {
		n, ok := ClaimOrdinal(set, claim)
		whenScaled := *retentionParts(retentionOf(set))[1].value
		// The claim of an ordinal that is wanted is delete-protection's.
		if !ok || rangeOf(set).has(n) || set.DeletionTimestamp != nil || whenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
			continue
		}
		return []Finding{{
			Check: "kept", Path: "metadata.name",
			Message: fmt.Sprintf("Claim %s is no leftover: StatefulSet %s was scaled down and kept it (whenScaled: Retain), so that Pod %s-%d finds its data when it is scaled up again.",
				claim.Name, set.Name, set.Name, n),
			Remedy: "leave it, or back its data up first. If nobody needs the data, say so and try again: " +
				sayItIsMeant("retained-claim", "persistentvolumeclaim", claim),
		}}, err
	}
	return nil, err
}
