package policies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var forceDelete = Rule{
	ID:    "force-delete",
	Block: "forceDelete",
	Title: "No Pod has a successor before it has stopped",
	Doc: `A StatefulSet never runs two Pods of one name, because it waits until the old one is known to have stopped. A
delete with a grace period of 0 makes it forget the Pod at once, whether or not its node could be told: where that node is
only cut off, two Pods with one identity write one volume, and the data is damaged for good. The node's own agent and the
Pod garbage collector know that a Pod has stopped, and pass; so does the Pod of a node that is gone or has the taint
node.kubernetes.io/out-of-service, by which somebody vouches that it is off, and a Pod that has ended or never had a node.`,
	Severity: High,
	On:       []Trigger{{"Pod", []admissionv1.Operation{admissionv1.Delete}}},
	Checks: []Check{
		{"running", "the Pod may still be running when its successor starts"},
	},
	blocks: typed(logic[v1alpha1.ForceDelete]{
		params: func(r *v1alpha1.Rules) *v1alpha1.ForceDelete { return r.ForceDelete },
		change: stopsBeforeItGoes,
	}),
	Cases: []Case{
		{
			Name: "forcing a Pod away", DeleteOptions: "gracePeriodSeconds: 0", Given: []string{`kind: Node`},
			Old: `kind: Pod`, Want: []string{"running"},
		},
		{
			Name: "letting a Pod stop", DeleteOptions: "gracePeriodSeconds: 30", Given: []string{`kind: Node`},
			Old: `kind: Pod`,
		},
		{
			Name: "a Pod that asks for no time to stop", DeleteOptions: "gracePeriodSeconds: 0", Given: []string{`kind: Node`},
			Old: `{kind: Pod, spec: {terminationGracePeriodSeconds: 0}}`, Want: []string{"running"},
		},
		{
			Name: "the node reports that the Pod has stopped", DeleteOptions: "gracePeriodSeconds: 0", Given: []string{`kind: Node`},
			User: "system:node:node-1", Old: `kind: Pod`,
		},
		{
			Name: "the Pod garbage collector", DeleteOptions: "gracePeriodSeconds: 0", Given: []string{`kind: Node`},
			User: "system:serviceaccount:kube-system:pod-garbage-collector", Old: `kind: Pod`,
		},
		{
			Name: "a Pod of a node that is known to be off", DeleteOptions: "gracePeriodSeconds: 0", Old: `kind: Pod`,
			Given: []string{`{kind: Node, spec: {taints: [{key: node.kubernetes.io/out-of-service, value: nodeshutdown, effect: NoExecute}]}}`},
		},
		{Name: "a Pod of a node that is gone", DeleteOptions: "gracePeriodSeconds: 0", Old: `kind: Pod`},
		{
			Name: "a Pod that has ended", DeleteOptions: "gracePeriodSeconds: 0", Given: []string{`kind: Node`},
			Old: `{kind: Pod, status: {phase: Failed}}`,
		},
		{
			Name: "a Pod that never had a node", DeleteOptions: "gracePeriodSeconds: 0",
			Old: `{kind: Pod, spec: {nodeName: null}, status: {phase: Pending}}`,
		},
		{
			Name: "a Pod of a Deployment", DeleteOptions: "gracePeriodSeconds: 0", Given: []string{`kind: Node`},
			Old: `{kind: Pod, metadata: {ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d4, uid: "1", controller: true}]}}`,
		},
	},
}

func stopsBeforeItGoes(ch Change, c Cluster, _ v1alpha1.ForceDelete) ([]Finding, error) {
	pod := ch.Old.(*corev1.Pod)
	// The API server fills in the Pod's own grace period before admission: 0 stands there whoever asked for it.
	grace := value(ch.DeleteOptions).GracePeriodSeconds
	if grace == nil || *grace != 0 || strings.HasPrefix(ch.User.Username, "system:node:") {
		return nil, nil
	}
	owner := value(metav1.GetControllerOf(pod))
	if owner.Kind != "StatefulSet" || !strings.HasPrefix(owner.APIVersion, "apps/") || finished(pod) || pod.Spec.NodeName == "" {
		return nil, nil
	}
	if decided, err := ch.decided(c); decided || err != nil {
		return nil, err
	}
	node, err := c.Node(pod.Spec.NodeName)
	switch {
	case apierrors.IsNotFound(err) || errors.Is(err, ErrUnknown):
		return nil, nil
	case err != nil:
		return nil, err
	case slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService }):
		return nil, nil
	}
	seconds := cmp.Or(value(pod.Spec.TerminationGracePeriodSeconds), corev1.DefaultTerminationGracePeriodSeconds)
	return []Finding{{
		Check: "running", Path: "metadata.name",
		Message: fmt.Sprintf("Pod %s may still run on node %s when StatefulSet %s starts its successor: two Pods named %[1]s could write the same volume.",
			pod.Name, node.Name, owner.Name),
		Remedy: fmt.Sprintf("let it stop: %s delete pod %s --grace-period=%d. If node %s is off for certain, say so, and the Pod and its volumes are let go: kubectl taint nodes %[4]s %s=nodeshutdown:NoExecute",
			kubectl(pod), pod.Name, seconds, node.Name, corev1.TaintNodeOutOfService),
	}}, nil
}
