package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestNodes checks that people cannot remove nodes and volume attachments in use by members, that controllers can, and that routine
// changes of nodes and Pods do not reach Mooring.
func TestNodes(t *testing.T) {
	s := newShell(t, "mooring.dev/profile=restricted")
	node := "node-" + s.namespace
	s.mustWith(fmt.Sprintf(`{apiVersion: v1, kind: Node, metadata: {name: %s, annotations: {kwok.x-k8s.io/node: fake}, labels: {only: %[1]s}},
spec: {taints: [{key: only, effect: NoSchedule}]}}`, node), "apply", "-f", "-")
	s.must("wait", "node/"+node, "--for=condition=Ready", "--timeout=60s")
	members := strings.Replace(statefulSet("replicas: 3"), "containers:", "nodeSelector: {only: "+node+"}\n      tolerations: [{key: only, operator: Exists}]\n      containers:", 1)
	s.must("label", "namespace", s.namespace, "mooring.dev/mode=warn")
	s.mustWith(service+"---"+members, "apply", "-f", "-")
	s.must("label", "namespace", s.namespace, "mooring.dev/mode-")
	s.settled(3)
	s.bound()
	volume := s.must("get", "pvc", "data-db-0", "-o", "jsonpath={.spec.volumeName}")
	attachment := fmt.Sprintf("{apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, metadata: {name: %s}, spec: {attacher: disks.example.com, nodeName: %s, source: {persistentVolumeName: %s}}}",
		s.namespace, node, volume)
	s.mustWith(attachment, "create", "-f", "-")

	deleted := []string{"delete", "node", node, "--dry-run=server"}
	tainted := []string{"taint", "node", node, "maintenance=disk:NoExecute", "--dry-run=server"}
	detached := []string{"delete", "volumeattachment", s.namespace, "--dry-run=server"}
	s.refused([]string{"node-disruption/running: Node " + node + " is ready and runs db-0, db-1 and db-2."}, deleted...)
	s.refused([]string{"node-disruption/taint: Taint maintenance evicts 3 ready members of StatefulSet db at once"}, tainted...)
	s.refused([]string{"volume-retain/detached: Pod db-0 runs on node " + node}, detached...)

	as := func(controller string, args []string) []string {
		return append(args, "--as=system:serviceaccount:kube-system:"+controller, "--as-group=system:masters")
	}
	before := s.calls(`mooring.dev"`)
	s.must(as("node-controller", deleted)...)
	s.must(as("node-controller", tainted)...)
	s.must(as("attachdetach-controller", detached)...)
	for i := range 20 {
		s.must("label", "node", node, fmt.Sprintf("seen=%d", i), "--overwrite")
		s.must("patch", "node", node, "--subresource=status", "--type=strategic", "-p", fmt.Sprintf(`{"status":{"conditions":[{"type":"DiskPressure","status":"False","message":"%d"}]}}`, i))
		s.must("label", "pod", "db-0", fmt.Sprintf("seen-%d=yes", i))
	}
	if n := s.calls(`mooring.dev"`) - before; n != 0 {
		t.Errorf("the API server asked %v times about what controllers, heartbeats and new labels did", n)
	}
	s.refused([]string{"pod-selector/relabeled"}, "label", "pod", "db-1", "app=debug", "--overwrite")
	s.must("label", "pod", "db-0", "seen-0=again", "--overwrite")

	// A controller drains this node before it is deleted.
	s.must("patch", "node", node, "--type=merge", "-p", `{"metadata":{"finalizers":["karpenter.sh/termination"]}}`)
	if out := s.must(deleted...); strings.Contains(out, "node-disruption") {
		t.Errorf("the delete of a node with a finalizer is warned of:\n%s", out)
	}
}
