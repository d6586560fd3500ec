package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestClamp shows an autoscaler walking a StatefulSet down one safe step at a time, without ever being refused.
func TestClamp(t *testing.T) {
	s := newShell(t)
	s.mustWith(`
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: NAMESPACE}
spec:
  match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}
  rules:
    scaleDown: {action: Deny, maxStep: 1, minReplicas: 3, autoscaler: Clamp}
`, "apply", "-f", "-")
	t.Cleanup(func() { s.must("delete", "statefulpolicy", s.namespace) })
	s.mustWith(service+"---"+statefulSet("replicas: 5"), "apply", "-f", "-")
	s.settled(5)
	kubeconfig, err := cluster.KubeconfigFor("system:serviceaccount:keda:keda-operator", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	autoscaler := shell{t, s.namespace, kubeconfig}
	replicas := func() string { return s.must("get", "statefulset", "db", "-o", "jsonpath={.spec.replicas}") }

	await(t, func() error {
		out, err := s.try("", "scale", "statefulset", "db", "--replicas=3", "--dry-run=server")
		if err == nil || !strings.Contains(out, "scale-down/step") {
			return fmt.Errorf("the policy is not in force: %s", out)
		}
		return nil
	})
	for _, want := range []int{4, 3, 3} {
		autoscaler.must("scale", "statefulset", "db", "--replicas=1")
		if got := replicas(); got != fmt.Sprint(want) {
			t.Fatalf("asked for 1, got %s; want %d", got, want)
		}
		s.settled(want)
	}
	s.refused([]string{"scale-down/step"}, "scale", "statefulset", "db", "--replicas=1")
}
