package rules

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var sharedClaim = policies.Rule{
	ID:    "shared-claim",
	Title: "One volume, one writer",
	Doc: `The replicas of a Deployment all mount the same claim. Where it is ReadWriteOnce, they run only while they happen to be
on one node, and then write to one file system at the same time; where it is ReadWriteOncePod, all but one wait for ever. A
StatefulSet was meant, which gives each replica a claim of its own. Deployments are judged in files and audits; the webhook
does not ask for them.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.Deployment, create, update)},
	Checks:   []policies.Check{{Name: "shared", Doc: "several replicas mount one claim that one node, or one Pod, may write"}},
	Logic: policies.Typed[v1alpha1.SharedClaim]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.SharedClaim { return &r.SharedClaim },
		Baseline:   &v1alpha1.SharedClaim{Enforcement: warn},
		Restricted: &v1alpha1.SharedClaim{Enforcement: warn},
		Object:     sharesNoClaim,
	},
}

func sharesNoClaim(o kinds.Object, c policies.Cluster, _ v1alpha1.SharedClaim) ([]policies.Finding, error) {
	deployment := o.(*appsv1.Deployment)
	if deployment.Spec.Replicas == nil || *deployment.Spec.Replicas < 2 {
		return nil, nil
	}
	var found []policies.Finding
	for i, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil || volume.PersistentVolumeClaim.ReadOnly {
			continue
		}
		claim, _, err := policies.Get[*corev1.PersistentVolumeClaim](c, deployment.Namespace, volume.PersistentVolumeClaim.ClaimName)
		if err != nil {
			return found, err
		}
		if claim == nil {
			continue
		}
		if slices.ContainsFunc(claim.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
			return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
		}) {
			continue
		}
		found = append(found, policies.Finding{
			Check: "shared", Path: fmt.Sprintf("spec.template.spec.volumes[%d].persistentVolumeClaim.claimName", i),
			Message: fmt.Sprintf("%s of Deployment %s share claim %s, which is %v: Pods on other nodes do not start, and Pods on one node overwrite each other's data.", words.Plural(*deployment.Spec.Replicas, "replica"), deployment.Name, claim.Name, claim.Spec.AccessModes),
			Remedy:  "use a StatefulSet with a claim template, or one replica with strategy Recreate.",
		})
	}
	return found, nil
}
