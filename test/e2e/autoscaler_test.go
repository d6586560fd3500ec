package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestClamp checks that an autoscaler scales a StatefulSet down one safe step at a time, and is never refused.
func TestClamp(t *testing.T) {
	s := clamped(t)
	kubeconfig, err := cluster.KubeconfigFor("system:serviceaccount:keda:keda-operator", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	autoscaler := shell{t, s.namespace, kubeconfig}
	replicas := func() string { return s.must("get", "statefulset", "db", "-o", "jsonpath={.spec.replicas}") }
	for _, want := range []int{4, 3, 3} {
		autoscaler.must("scale", "statefulset", "db", "--replicas=1")
		if got := replicas(); got != fmt.Sprint(want) {
			t.Fatalf("asked for 1, got %s; want %d", got, want)
		}
		s.settled(want)
	}
	s.refused([]string{"scale-down/step"}, "scale", "statefulset", "db", "--replicas=1")
}

// clamped is a namespace with a StatefulSet of five, and a policy that allows an autoscaler one Pod at a time, down to three.
func clamped(t *testing.T) shell {
	t.Helper()
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
	await(t, func() error {
		out, err := s.try("", "scale", "statefulset", "db", "--replicas=3", "--dry-run=server")
		if err == nil || !strings.Contains(out, "scale-down/step") {
			return fmt.Errorf("the policy is not in force: %s", out)
		}
		return nil
	})
	return s
}

// TestHorizontalPodAutoscaler does the same with the real autoscaler: a metric says that three are enough, and
// kube-controller-manager asks for three until it has them.
func TestHorizontalPodAutoscaler(t *testing.T) {
	s := clamped(t)
	if err := cluster.ServeMetrics(t.Context()); err != nil {
		t.Fatal(err)
	}
	sets := clientFor(t, cluster.Kubeconfig).AppsV1().StatefulSets(s.namespace)
	watch, err := sets.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=db"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	s.mustWith(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: db}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}
  minReplicas: 2
  maxReplicas: 5
  metrics:
  - {type: External, external: {metric: {name: load-3}, target: {type: AverageValue, averageValue: "1"}}}
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
`, "apply", "-f", "-")
	t.Cleanup(func() { s.must("delete", "horizontalpodautoscaler", "db") })

	var walked []int32
	for done, late := false, time.After(2*time.Minute); !done; {
		select {
		case event := <-watch.ResultChan():
			set, ok := event.Object.(*appsv1.StatefulSet)
			if !ok {
				t.Fatalf("the watch ended with %v", event)
			}
			if n := *set.Spec.Replicas; len(walked) == 0 || walked[len(walked)-1] != n {
				walked = append(walked, n)
			}
			done = *set.Spec.Replicas <= 3 && set.Status.Replicas == *set.Spec.Replicas
		case <-late:
			t.Fatalf("it went %v in two minutes; the autoscaler:\n%s", walked, s.must("describe", "horizontalpodautoscaler", "db"))
		}
	}
	if want := []int32{5, 4, 3}; !slices.Equal(walked, want) {
		t.Errorf("it went %v, want %v", walked, want)
	}
	events := s.must("get", "events", "-o", `jsonpath={range .items[*]}{.involvedObject.kind} {.reason}: {.message}{"\n"}{end}`)
	if !strings.Contains(events, "HorizontalPodAutoscaler SuccessfulRescale") {
		t.Errorf("no Event says that the autoscaler scaled:\n%s", events)
	}
	for _, bad := range []string{"FailedRescale", "denied the request", "StatefulSet Denied"} {
		// Mooring has no Event from the first trial, which was a dry run.
		if strings.Contains(events, bad) {
			t.Errorf("the Events tell of %q:\n%s", bad, events)
		}
	}
	t.Logf("it went %v:\n%s", walked, s.must("describe", "horizontalpodautoscaler", "db"))
}

// TestRefusedAutoscaler checks that a refusal is also a warning, because kubectl autoscale hides its message.
func TestRefusedAutoscaler(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
	s.must("label", "namespace", s.namespace, "mooring.dev/profile=restricted")
	out, err := s.try("", "autoscale", "statefulset", "db", "--min=1", "--max=5")
	if err == nil || !strings.Contains(out, "Warning: autoscaler-floor/below: ") {
		t.Errorf("the refusal (%v) has no reason:\n%s", err, out)
	}
}
