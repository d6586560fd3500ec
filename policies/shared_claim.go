package policies

import (
	"errors"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var sharedClaim = Rule{
	ID:    "shared-claim",
	Block: "sharedClaim",
	Title: "One volume, one writer",
	Doc: `The replicas of a Deployment all mount the same claim. Where it is ReadWriteOnce, they run only while they happen to be
on one node, and then write to one file system at the same time; where it is ReadWriteOncePod, all but one wait for ever. A
StatefulSet was meant, which gives each replica a claim of its own. Deployments are judged in files and audits; the webhook
does not ask for them.`,
	Severity: Medium,
	On:       []Trigger{{"Deployment", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks:   []Check{{"shared", "several replicas mount one claim that one node, or one Pod, may write"}},
	blocks: typed(logic[v1alpha1.SharedClaim]{
		params: func(r *v1alpha1.Rules) *v1alpha1.SharedClaim { return r.SharedClaim },
		object: sharesNoClaim,
	}),
	Cases: []Case{
		{Name: "one replica", New: `{kind: Deployment, spec: {replicas: 1}}`, Claims: []int32{0}},
		{Name: "three replicas of a claim for many", New: `kind: Deployment`, Given: []string{`{kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteMany]}}`}},
		{Name: "a claim that nobody knows yet", New: `kind: Deployment`},
		{Name: "three replicas of a claim for one", New: `kind: Deployment`, Claims: []int32{0}, Want: []string{"shared"}},
	},
}

func sharesNoClaim(o Object, c Cluster, _ v1alpha1.SharedClaim) ([]Finding, error) {
	deployment := o.(*appsv1.Deployment)
	if deployment.Spec.Replicas == nil || *deployment.Spec.Replicas < 2 {
		return nil, nil
	}
	var found []Finding
	for i, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil || volume.PersistentVolumeClaim.ReadOnly {
			continue
		}
		claim, err := c.Claim(deployment.Namespace, volume.PersistentVolumeClaim.ClaimName)
		if apierrors.IsNotFound(err) || errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return found, err
		}
		if slices.ContainsFunc(claim.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
			return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
		}) {
			continue
		}
		found = append(found, Finding{
			Check: "shared", Path: fmt.Sprintf("spec.template.spec.volumes[%d].persistentVolumeClaim.claimName", i),
			Message: fmt.Sprintf("%s of Deployment %s share claim %s, which is %v: on other nodes they would wait for ever, and on one they write over each other's data.", plural(*deployment.Spec.Replicas, "replica"), deployment.Name, claim.Name, claim.Spec.AccessModes),
			Remedy:  "use a StatefulSet with a claim template, or one replica with strategy Recreate.",
		})
	}
	return found, nil
}
