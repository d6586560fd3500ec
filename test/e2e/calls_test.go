package e2e

import (
	"strings"
	"testing"
)

// TestWebhookCalls counts the reviews in a StatefulSet's life. No other test runs at the same time. Without matchConditions, the
// controllers' claim updates alone are dozens.
func TestWebhookCalls(t *testing.T) {
	s := newShell(t)
	before := metric(t, "mooring_reviews_total")
	at := before
	stage := func(what string) {
		now := metric(t, "mooring_reviews_total")
		t.Logf("%-60s %2.0f calls", what, now-at)
		at = now
	}
	s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
	s.settled(3)
	s.must("wait", "pvc", "--all", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
	stage("Service and StatefulSet of three applied, all ready and bound")
	s.must("set", "image", "statefulset/db", "db=example/db:2")
	s.must("rollout", "status", "statefulset/db", "--timeout=60s")
	stage("new image rolled out")
	s.must("scale", "statefulset", "db", "--replicas=2")
	s.settled(2)
	stage("scaled to two")
	s.must("delete", "statefulset", "db")
	stage("StatefulSet deleted")
	// The StatefulSet's claims are deleted with the namespace, which needs a bypass.
	s.must("annotate", "namespace", s.namespace, "mooring.dev/bypass=delete-protection", "mooring.dev/bypass-reason=its life is over")
	s.must("delete", "namespace", s.namespace, "--timeout=60s")
	stage("namespace deleted, with its claims")
	// kwok updates each claim's volume three times, a provisioner once. It may also delete the volume before its phase shows that
	// the claim is gone, which a provisioner waits for.
	const most, repeated = 12, 9
	if calls := at - before - repeated; calls > most {
		t.Errorf("%v calls in all, want %d at most", calls, most)
	} else {
		t.Logf("%v calls in all", calls)
	}
}

// TestBypass checks who can bypass a denial.
func TestBypass(t *testing.T) {
	s := newShell(t)
	s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
	s.settled(3)
	s.must("create", "rolebinding", "editors", "--clusterrole=edit", "--group=editors")
	s.must("create", "clusterrolebinding", s.namespace, "--clusterrole=mooring-bypass", "--user="+s.namespace+"-trusted")
	t.Cleanup(func() { s.must("delete", "clusterrolebinding", s.namespace) })
	as := func(user string) shell {
		kubeconfig, err := cluster.KubeconfigFor(user, "editors")
		if err != nil {
			t.Fatal(err)
		}
		return shell{t, s.namespace, kubeconfig}
	}
	trusted, other := as(s.namespace+"-trusted"), as(s.namespace+"-other")
	down := []string{"scale", "statefulset", "db", "--replicas=1", "--dry-run=server"}

	// In the Pod template it is an ordinary annotation.
	s.must("patch", "statefulset", "db", "-p", `{"spec":{"template":{"metadata":{"annotations":{"mooring.dev/bypass":"scale-down","mooring.dev/bypass-reason":"x"}}}}}`)
	s.must("rollout", "status", "statefulset/db", "--timeout=60s")
	trusted.refused([]string{"scale-down/quorum"}, down...)

	trusted.must("annotate", "statefulset", "db", "mooring.dev/bypass=scale-down")
	trusted.refused([]string{"Note: the annotation mooring.dev/bypass does not count: mooring.dev/bypass-reason must give the reason"}, down...)
	trusted.must("annotate", "statefulset", "db", "mooring.dev/bypass-reason=the data has moved")
	if out := trusted.must(down...); !strings.Contains(out, "bypassed: the data has moved") {
		t.Errorf("the bypass is not mentioned:\n%s", out)
	}
	other.refused([]string{"lacks the verb bypass on statefulpolicies.mooring.dev"}, down...)
	trusted.must("annotate", "statefulset", "db", "mooring.dev/bypass-until=2020-01-01T00:00:00Z")
	trusted.refused([]string{"it ended at 2020-01-01T00:00:00Z"}, down...)
	trusted.must("annotate", "statefulset", "db", "--overwrite", "mooring.dev/bypass-until=2099-01-01T00:00:00Z")
	trusted.refused([]string{"more than 24 hours ahead"}, down...)
}
