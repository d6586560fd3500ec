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
	Doc: `A StatefulSet never runs two Pods of one name, because it waits until the old one is known to have stopped. A
delete with a grace period of 0 makes it forget the Pod at once, whether or not its node could be told: where that node is
only cut off, two Pods with one identity write one volume, and the data is damaged for good. The node's own agent and the
Pod garbage collector know that a Pod has stopped, and pass; so does the Pod of a node that is gone or has the taint
node.kubernetes.io/out-of-service, by which somebody vouches that it is off, and a Pod that has ended or never had a node.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.Pod, remove)},
	Checks: []policies.Check{
		{Name: "running", Doc: "the Pod may still be running when its successor starts"},
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
	// The API server fills in the Pod's own grace period before admission: 0 stands there whoever asked for it.
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
		Message: fmt.Sprintf("Pod %s may still run on node %s when StatefulSet %s starts its successor: two Pods named %[1]s could write the same volume.",
			pod.Name, node.Name, owner.Name),
		Remedy: fmt.Sprintf("let it stop cleanly: %s delete pod %s --grace-period=%d. If node %s is shut down, taint it to release the Pod and its volumes: kubectl taint nodes %[4]s %s=nodeshutdown:NoExecute",
			policies.Kubectl(pod), pod.Name, seconds, node.Name, corev1.TaintNodeOutOfService),
	}}, nil
}
