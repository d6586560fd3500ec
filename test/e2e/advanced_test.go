package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/test/harness"
)

// member is a ready Pod of db with its claim, as the Advanced StatefulSet's controller makes them.
func member(n int) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-db-%[1]d, namespace: NAMESPACE, labels: {app: db}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: db-%[1]d, namespace: NAMESPACE, labels: {app: db, statefulset.kubernetes.io/pod-name: db-%[1]d}}
spec:
  containers: [{name: db, image: registry.example/db}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data-db-%[1]d}}]
`, n)
}

// TestAdvancedStatefulSets checks that OpenKruise's StatefulSets are judged as StatefulSets are, once their CustomResourceDefinition is there.
func TestAdvancedStatefulSets(t *testing.T) {
	s := newShell(t)
	s.define(harness.AdvancedStatefulSets)
	advanced := func(lines ...string) string {
		return strings.Replace(harness.StatefulSet("NAMESPACE", lines...), "apiVersion: apps/v1", "apiVersion: apps.kruise.io/v1beta1", 1)
	}
	s.mustWith(service+"---"+advanced("replicas: 3")+member(0)+member(1)+member(2), "apply", "-f", "-")
	s.must("wait", "pods", "--all", "--for=condition=Ready", "--timeout=60s")
	s.bound()
	s.must("patch", "statefulsets.apps.kruise.io", "db", "--subresource=status", "--type=merge", "-p", `{"status":{"observedGeneration":1,"replicas":3,"readyReplicas":3,"updatedReplicas":3}}`)
	// A new kind is looked for when the policies change, and every minute.
	s.mustWith("{apiVersion: mooring.dev/v1alpha1, kind: StatefulPolicy, metadata: {name: NAMESPACE}, spec: {match: {namespaceSelector: {matchLabels: {none: \"true\"}}}}}", "apply", "-f", "-")
	t.Cleanup(func() { s.must("delete", "statefulpolicy", s.namespace) })

	patch := func(spec string) []string {
		return []string{"patch", "statefulsets.apps.kruise.io", "db", "--type=merge", "--dry-run=server", "-p", `{"spec":` + spec + `}`}
	}
	const quorum = "scale-down/quorum: Scaling StatefulSet db from 3 to 1 removes db-1 and db-2 and leaves 1 of 3 members ready"
	s.eventuallyRefused(quorum, patch(`{"replicas":1}`)...)
	remedy := "scale statefulset.apps.kruise.io db --replicas=2"
	s.refused([]string{quorum, remedy}, patch(`{"replicas":1}`)...)
	s.refused([]string{quorum, remedy}, "scale", "statefulsets.apps.kruise.io", "db", "--replicas=1")
	autoscaler := []string{"--as=system:serviceaccount:kube-system:horizontal-pod-autoscaler", "--as-group=system:masters"}
	if out := s.must(append(autoscaler, "scale", "statefulsets.apps.kruise.io", "db", "--replicas=1", "--dry-run=server")...); !strings.Contains(out, "Warning: scale-down/quorum") {
		t.Errorf("an autoscaler, which would ask for ever, is told:\n%s", out)
	}
	s.refused([]string{"scale-down/to-zero"}, patch(`{"replicas":0}`)...)
	if out := s.must(patch(`{"replicas":2}`)...); strings.Contains(out, "scale-down/") {
		t.Errorf("a step that leaves a majority draws:\n%s", out)
	}
	// What OpenKruise alone knows is no reason to refuse.
	s.must(patch(`{"updateStrategy":{"rollingUpdate":{"podUpdatePolicy":"InPlaceIfPossible","paused":true}},"scaleStrategy":{"maxUnavailable":1}}`)...)
	if out := s.must(patch(`{"replicas":1,"reserveOrdinals":[0]}`)...); !strings.Contains(out, "Warning: scale-down/quorum") {
		t.Errorf("which ordinals go where some are reserved is not known:\n%s", out)
	}
	s.must("patch", "statefulsets.apps.kruise.io", "db", "--type=merge", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}`)
	s.refused([]string{"delete-protection/data"}, "delete", "statefulsets.apps.kruise.io", "db", "--dry-run=server")
	s.refused([]string{"delete-protection/data"}, "delete", "statefulsets.apps.kruise.io", "--all")
	// What a remedy names, kubectl knows: its rollout command does not.
	s.must("wait", "statefulset.apps.kruise.io", "db", "--for=jsonpath={.status.updatedReplicas}=3", "--timeout=10s")
	s.must("patch", "statefulset.apps.kruise.io", "db", "--type=merge", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}`, "--dry-run=server")
	// So does an audit of what stands there.
	audit := cluster.Mooring(t.Context(), "audit", "--kubeconfig="+cluster.Kubeconfig, "-n", s.namespace)
	if out, err := audit.CombinedOutput(); err != nil || !strings.Contains(string(out), "claim-at-risk/reclaim") || !strings.Contains(string(out), "patch statefulset.apps.kruise.io db") {
		t.Errorf("the audit: %v\n%s", err, out)
	}
	// What is written is judged too.
	if out, err := s.try(strings.ReplaceAll(advanced("replicas: 1"), "db", "web"), "create", "--dry-run=server", "-f", "-"); err != nil || !strings.Contains(out, "Warning: headless-service/missing") {
		t.Errorf("a StatefulSet without its Service: %v\n%s", err, out)
	}
	before := s.calls(`name="owners.mooring.dev"`) + s.calls(`name="advanced.mooring.dev"`)
	s.must("patch", "statefulsets.apps.kruise.io", "db", "--subresource=status", "--type=merge", "-p", `{"status":{"replicas":3}}`)
	s.must("label", "statefulsets.apps.kruise.io", "db", "tier=gold")
	if n := s.calls(`name="owners.mooring.dev"`) + s.calls(`name="advanced.mooring.dev"`) - before; n != 0 {
		t.Errorf("the API server asked %v times about a status and a label", n)
	}
}
