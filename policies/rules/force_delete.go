package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var forceDelete = policies.Rule{
	ID:    "force-delete",
	Title: "A Pod stops before its replacement starts",
	Doc: `A StatefulSet never runs two Pods with the same name, because it waits until the old Pod has stopped. A delete
with grace period 0 removes the Pod from the API at once, even if the node does not know. If that node is only disconnected,
two Pods with one identity write to one volume and damage the data. The node's kubelet and the Pod garbage collector know that
a Pod has stopped, so their deletes pass. Deletes of a Pod also pass if its node is gone or has the taint
node.kubernetes.io/out-of-service, which states that the node is off, and if the Pod has ended or never had a node.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.Pod, remove)},
	Checks: []policies.Check{
		{Name: "running", Doc: "the Pod can still run when its replacement starts"},
	},
	Logic: policies.Typed[v1alpha1.ForceDelete]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ForceDelete { return &r.ForceDelete },
		Baseline:   &v1alpha1.ForceDelete{Enforcement: warn},
		Restricted: &v1alpha1.ForceDelete{Enforcement: deny},
		Change:     stopsBeforeItGoes,
	},
}

func stopsBeforeItGoes(ch policies.Change, c policies.Cluster, _ v1alpha1.ForceDelete) ([]policies.Finding, error) {
	pod := ch.Old.(*corev1.Pod)
	// Before admission the API server sets the Pod's own grace period, so 0 may come from the Pod.
	grace := ptr.Deref(ch.DeleteOptions, metav1.DeleteOptions{}).GracePeriodSeconds
	if grace == nil || *grace != 0 || ch.ByNode() {
		return nil, nil
	}
	owner := ptr.Deref(metav1.GetControllerOf(pod), metav1.OwnerReference{})
	if owner.Kind != "StatefulSet" || !strings.HasPrefix(owner.APIVersion, "apps/") || statefulset.Finished(pod) || pod.Spec.NodeName == "" {
		return nil, nil
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	node, _, err := policies.Get[*corev1.Node](c, "", pod.Spec.NodeName)
	switch {
	case err != nil || node == nil:
		return nil, err
	case slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService }):
		return nil, nil
	}
	seconds := cmp.Or(ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 0), corev1.DefaultTerminationGracePeriodSeconds)
	return []policies.Finding{{
		Check: "running", Path: "metadata.name",
		Message: fmt.Sprintf("Pod %s may still run on node %s when StatefulSet %s starts its replacement: two Pods named %[1]s could write to one volume.",
			pod.Name, node.Name, owner.Name),
		Remedy: fmt.Sprintf("let it stop cleanly: %s delete pod %s --grace-period=%d. If node %s is shut down, taint it to release the Pod and its volumes: kubectl taint nodes %[4]s %s=nodeshutdown:NoExecute",
			policies.Kubectl(pod), pod.Name, seconds, node.Name, corev1.TaintNodeOutOfService),
	}}, nil
}
