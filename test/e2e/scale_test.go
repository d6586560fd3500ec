package e2e

import (
	"strings"
	"testing"
)

// TestScaleDown checks that the rule applies to every way of scaling, and allows safe steps.
func TestScaleDown(t *testing.T) {
	start := func(t *testing.T, replicas string, lines ...string) shell {
		s := newShell(t)
		s.mustWith(service+"---"+statefulSet(append(lines, "replicas: "+replicas)...), "apply", "-f", "-")
		return s
	}
	scale := func(replicas string, more ...string) []string {
		return append([]string{"scale", "statefulset", "db", "--replicas=" + replicas}, more...)
	}

	t.Run("three to one", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		want := []string{"scale-down/quorum", "removes db-1 and db-2", "a majority is 2", "--replicas=2"}
		for _, args := range [][]string{
			scale("1"),
			scale("1", "--dry-run=server"),
			{"patch", "statefulset", "db", "-p", `{"spec":{"replicas":1}}`},
			{"patch", "statefulset", "db", "--subresource=scale", "--type=merge", "-p", `{"spec":{"replicas":1}}`},
			{"patch", "statefulset", "db", "-p", `{"spec":{"replicas":1}}`, "--dry-run=server"},
		} {
			s.refused(want, args...)
		}
		for _, args := range [][]string{
			{"apply", "-f", "-"},
			{"apply", "-f", "-", "--server-side", "--force-conflicts"},
			{"replace", "-f", "-"},
		} {
			s.refusedWith(statefulSet("replicas: 1"), want, args...)
		}
		s.refused([]string{"scale-down/quorum", "ordinals 0-2 to 2-4"}, "patch", "statefulset", "db", "-p", `{"spec":{"ordinals":{"start":2}}}`)
		s.must(scale("2", "--dry-run=server")...)
		s.must(scale("2")...)
		s.settled(2)
		s.refused([]string{"scale-down/quorum", "1 of 2 members"}, scale("1")...)
		s.must(scale("5")...)
	})
	t.Run("five to three, all ready", func(t *testing.T) {
		t.Parallel()
		s := start(t, "5")
		s.settled(5)
		if out := s.must(scale("3")...); strings.Contains(out, "Warning") {
			t.Errorf("the scale-down drew a warning:\n%s", out)
		}
		s.settled(3)
	})
	t.Run("three to two while Pod 0 is not ready", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		s.ready("db-0", false)
		s.refused([]string{"scale-down/quorum", "leaves 1 of 3 members ready", "Not ready: db-0"}, scale("2")...)
		s.ready("db-0", true)
		s.must(scale("2")...)
	})
	t.Run("five to three where Pods 3 and 4 never became ready", func(t *testing.T) {
		t.Parallel()
		// With three nodes, and no two Pods on one, the last two Pods are never scheduled.
		s := start(t, "5", "podManagementPolicy: Parallel")
		s.must("delete", "statefulset", "db")
		s.mustWith(spread("replicas: 5", "podManagementPolicy: Parallel"), "apply", "-f", "-")
		s.must("wait", "statefulset/db", "--for=jsonpath={.status.replicas}=5", "--timeout=60s")
		s.must("wait", "statefulset/db", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s")
		s.must(scale("3")...)
	})
	t.Run("three to zero", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		s.refused([]string{"scale-down/to-zero"}, scale("0")...)
	})
	t.Run("claims would be deleted", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3", "persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}")
		s.settled(3)
		s.refused([]string{"scale-down/data", "data-db-2"}, scale("2")...)
	})
	t.Run("a budget is not met", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		s.must("create", "poddisruptionbudget", "db", "--selector=app=db", "--min-available=3")
		s.refused([]string{"scale-down/budget", "requires 3 ready Pods"}, scale("2")...)
	})
	t.Run("a scale-up that a quota ends is taken back", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		s.must("create", "quota", "pods", "--hard=pods=4")
		s.must(scale("5")...)
		s.must("wait", "statefulset/db", "--for=jsonpath={.status.readyReplicas}=4", "--timeout=60s")
		s.must(scale("3")...)
		s.settled(3)
	})
	t.Run("reverting a scale-up with a new version that does not start", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		s.must("patch", "statefulset", "db", "-p", `{"spec":{"replicas":4,"template":{"spec":{"nodeSelector":{"no":"such-node"}}}}}`)
		s.must("wait", "statefulset/db", "--for=jsonpath={.status.updatedReplicas}=1", "--timeout=60s")
		s.must(scale("3")...)
	})
	t.Run("a StatefulSet is created over Pods that were left", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3", "persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}")
		s.settled(3)
		s.must("delete", "statefulset", "db", "--cascade=orphan")
		for _, replicas := range []string{"replicas: 1", "replicas: 0"} {
			s.refusedWith(statefulSet(replicas), []string{"scale-down/", "where it adopts 3 Pods", "create it with replicas: 3"}, "create", "-f", "-")
		}
		s.refusedWith(statefulSet("replicas: 2", "persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}"),
			[]string{"scale-down/data", "data-db-2"}, "create", "-f", "-")
		s.mustWith(statefulSet("replicas: 3", "persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}"), "create", "-f", "-")
		s.settled(3)
	})
	t.Run("a StatefulSet is replaced by a smaller one, its Pods with it", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		// kubectl deletes and creates at once, so the Pods are still Terminating with a deleted owner.
		s.mustWith(statefulSet("replicas: 1"), "replace", "--force", "-f", "-")
		s.settled(1)
	})
	t.Run("a rollout is under way", func(t *testing.T) {
		t.Parallel()
		s := start(t, "5")
		s.settled(5)
		// The partition keeps the rollout from starting before the scale-down.
		s.must("patch", "node", "node-0", "-p", "{}")
		s.must("patch", "statefulset", "db", "-p", `{"spec":{"template":{"spec":{"nodeSelector":{"no":"such-node"}}}}}`)
		s.must("wait", "statefulset/db", "--for=jsonpath={.status.updatedReplicas}=1", "--timeout=60s")
		s.refused([]string{"scale-down/unsettled", "a rollout has reached 1 of 5 Pods", "rollout undo"}, scale("3")...)
	})
	t.Run("a namespace that asks for restricted takes one step at a time", func(t *testing.T) {
		t.Parallel()
		s := start(t, "5")
		s.settled(5)
		s.must("label", "namespace", s.namespace, "mooring.dev/profile=restricted")
		s.refused([]string{"scale-down/step", "--replicas=4"}, scale("3")...)
		s.must(scale("4")...)
	})
	t.Run("a namespace that is off or only warned is not refused", func(t *testing.T) {
		t.Parallel()
		s := start(t, "3")
		s.settled(3)
		s.must("label", "namespace", s.namespace, "mooring.dev/mode=warn")
		if out := s.must(scale("1", "--dry-run=server")...); !strings.Contains(out, "Warning: scale-down/quorum") {
			t.Errorf("there is no warning:\n%s", out)
		}
		s.must("label", "namespace", s.namespace, "mooring.dev/profile=off")
		if out := s.must(scale("1")...); strings.Contains(out, "Warning") {
			t.Errorf("there is a warning:\n%s", out)
		}
	})
}

// spread is a StatefulSet whose Pods run on different nodes.
func spread(lines ...string) string {
	return strings.Replace(statefulSet(lines...), "    spec:\n      containers", `    spec:
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}
      containers`, 1)
}
