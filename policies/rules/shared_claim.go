package rules

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var sharedClaim = policies.Rule{
	ID:    "shared-claim",
	Title: "One volume, one writer",
	Doc: `All replicas of a Deployment mount the same claim, and so do the replicas of a StatefulSet that names a claim in
its volumes. With a ReadWriteOnce claim they run only if they are on the same node, and then write to one file system at the
same time. With ReadWriteOncePod all but one wait forever. A claim template gives each replica its own claim. A Deployment
with one replica has two Pods during a rollout, unless its strategy is Recreate. Mooring judges Deployments in files and
audits only; the webhook does not receive them.`,
	Severity: policies.Medium,
	On: []policies.Trigger{
		policies.On(kinds.Deployment, create, update),
		policies.On(kinds.StatefulSet, create, update),
	},
	Checks: []policies.Check{
		{Name: "shared", Doc: "several replicas mount a ReadWriteOnce or ReadWriteOncePod claim"},
		{Name: "rolling", Doc: "a rollout starts a second Pod on such a claim before the first has stopped"},
	},
	Logic: policies.Typed[v1alpha1.SharedClaim]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.SharedClaim { return &r.SharedClaim },
		Baseline:   &v1alpha1.SharedClaim{Enforcement: warn},
		Restricted: &v1alpha1.SharedClaim{Enforcement: warn},
		Object:     sharesNoClaim,
	},
}

func sharesNoClaim(o kinds.Object, c policies.Cluster, _ v1alpha1.SharedClaim) ([]policies.Finding, error) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		replicas := int64(ptr.Deref(o.Spec.Replicas, 1))
		switch {
		case replicas > 1:
			return mountsAlone(o, replicas, o.Spec.Template.Spec, "use a StatefulSet with a claim template, or one replica with strategy Recreate.", c)
		case replicas == 1 && surges(o.Spec.Strategy):
			found, err := mountsAlone(o, replicas, o.Spec.Template.Spec, "set spec.strategy.type: Recreate", c)
			for i := range found {
				found[i].Check = "rolling"
			}
			return found, err
		}
	case *appsv1.StatefulSet:
		if replicas := statefulset.OrdinalsOf(o).Count(); replicas > 1 {
			return mountsAlone(o, replicas, o.Spec.Template.Spec, "use a claim template, which gives each Pod a claim of its own.", c)
		}
	}
	return nil, nil
}

// surges reports whether a rollout can run more Pods than there are replicas.
func surges(strategy appsv1.DeploymentStrategy) bool {
	if strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return false
	}
	rolling := ptr.Deref(strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
	surge, err := intstr.GetScaledValueFromIntOrPercent(ptr.To(ptr.Deref(rolling.MaxSurge, intstr.FromString("25%"))), 1, true)
	return err == nil && surge > 0
}

// mountsAlone finds the mounted claims that only one Pod can use.
func mountsAlone(o kinds.Object, replicas int64, pod corev1.PodSpec, remedy string, c policies.Cluster) ([]policies.Finding, error) {
	var found []policies.Finding
	set, _ := o.(*appsv1.StatefulSet)
	for i, volume := range pod.Volumes {
		if volume.PersistentVolumeClaim == nil || volume.PersistentVolumeClaim.ReadOnly {
			continue
		}
		if set != nil && hasTemplate(set, volume.Name) {
			// The Pod's own claim replaces it.
			continue
		}
		claim, _, err := policies.Get[*corev1.PersistentVolumeClaim](c, o.GetNamespace(), volume.PersistentVolumeClaim.ClaimName)
		if err != nil {
			return found, err
		}
		if claim == nil || slices.ContainsFunc(claim.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
			return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
		}) {
			continue
		}
		kind := o.GetObjectKind().GroupVersionKind().Kind
		message := fmt.Sprintf("%s of %s %s share claim %s, which is %v: Pods on other nodes do not start, and Pods on one node overwrite each other's data.", words.Plural(replicas, "replica"), kind, o.GetName(), claim.Name, claim.Spec.AccessModes)
		if replicas == 1 {
			message = fmt.Sprintf("A rollout of %s %s starts a second Pod on claim %s, which is %v, before the first has stopped: on another node it does not start, and on the same node both write to the volume.", kind, o.GetName(), claim.Name, claim.Spec.AccessModes)
		}
		found = append(found, policies.Finding{
			Check: "shared", Path: fmt.Sprintf("spec.template.spec.volumes[%d].persistentVolumeClaim.claimName", i), Message: message, Remedy: remedy,
		})
	}
	return found, nil
}

func hasTemplate(set *appsv1.StatefulSet, name string) bool {
	return slices.ContainsFunc(set.Spec.VolumeClaimTemplates, func(t corev1.PersistentVolumeClaim) bool { return t.Name == name })
}
