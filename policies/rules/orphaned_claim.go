package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var orphanedClaim = policies.Rule{
	ID:    "orphaned-claim",
	Title: "Claims belong to a StatefulSet",
	Doc: `When you delete a StatefulSet with whenDeleted: Retain, its claims stay. They cost money, and the next
StatefulSet of the same name starts on their data. A claim counts as orphaned if its name ends in an ordinal, no StatefulSet
has a claim of that name, no controller owns it, and no Pod or Deployment uses it. Only a live cluster shows this.`,
	Severity: policies.Low,
	On:       []policies.Trigger{policies.On(kinds.PersistentVolumeClaim)},
	Checks:   []policies.Check{{Name: "unused", Doc: "no StatefulSet and no Pod uses a claim that is named like a StatefulSet's"}},
	Logic: policies.Typed[v1alpha1.OrphanedClaim]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.OrphanedClaim { return &r.OrphanedClaim },
		Baseline:   &v1alpha1.OrphanedClaim{Enforcement: warn},
		Restricted: &v1alpha1.OrphanedClaim{Enforcement: warn},
		Observe:    findsOrphanedClaim,
	},
}

func findsOrphanedClaim(o kinds.Object, c policies.Cluster, _ policies.Clock, _ v1alpha1.OrphanedClaim) ([]policies.Finding, error) {
	claim := o.(*corev1.PersistentVolumeClaim)
	prefix, _, ordinal := statefulset.CutOrdinal(claim.Name)
	if !ordinal || !strings.Contains(prefix, "-") || claim.DeletionTimestamp != nil || metav1.GetControllerOf(claim) != nil {
		return nil, nil
	}
	if set, known, err := policies.ClaimantOf(claim, c); set != nil || !known || err != nil {
		return nil, err
	}
	pods, known, err := policies.List[*corev1.Pod](c, claim.Namespace)
	if !known || err != nil || slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return statefulset.Mounts(pod.Spec, claim.Name) }) {
		return nil, err
	}
	deployments, _, err := policies.List[*appsv1.Deployment](c, claim.Namespace)
	if err != nil || slices.ContainsFunc(deployments, func(d *appsv1.Deployment) bool { return statefulset.Mounts(d.Spec.Template.Spec, claim.Name) }) {
		return nil, err
	}
	return []policies.Finding{{
		Check: "unused", Path: "metadata.name",
		Message: fmt.Sprintf("Claim %s of %s, created on %s, belongs to no StatefulSet and no Pod uses it. A deleted StatefulSet probably left it behind.",
			claim.Name, claim.Spec.Resources.Requests.Storage(), claim.CreationTimestamp.UTC().Format(time.DateOnly)),
		Remedy: fmt.Sprintf("protect it from deletion: %[1]s label persistentvolumeclaim %[2]s %[3]s=true. If nobody needs the data: %[1]s delete persistentvolumeclaim %[2]s",
			policies.Kubectl(claim), claim.Name, policies.ProtectLabel),
	}}, nil
}
