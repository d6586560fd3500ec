package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/test/harness"
)

// TestClusterGoesOn checks that the control plane's own requests are not refused.
func TestClusterGoesOn(t *testing.T) {
	t.Run("a namespace with StatefulSets and bound claims is deleted", func(t *testing.T) {
		s := newShell(t)
		s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
		s.settled(3)
		var denied float64
		s.refused([]string{"delete-protection/namespace"}, "delete", "namespace", s.namespace)
		s.must("annotate", "namespace", s.namespace, "mooring.dev/bypass=delete-protection", "mooring.dev/bypass-reason=nobody needs it")
		denied = metric(t, "mooring_findings_total") + 1
		if out := s.must("delete", "namespace", s.namespace, "--timeout=50s"); !strings.Contains(out, "bypassed: nobody needs it") {
			t.Errorf("the bypass is not mentioned:\n%s", out)
		}
		if now := metric(t, "mooring_findings_total"); now != denied {
			t.Errorf("the controllers' deletes drew %v findings", now-denied)
		}
	})
	t.Run("retention Delete is carried out", func(t *testing.T) {
		s := newShell(t)
		s.mustWith(service+"---"+statefulSet("replicas: 2", "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}"), "apply", "-f", "-")
		s.settled(2)
		s.refused([]string{"delete-protection/data"}, "delete", "statefulset", "db")
		s.must("annotate", "statefulset", "db", "mooring.dev/bypass=delete-protection", "mooring.dev/bypass-reason=it was a preview")
		s.must("delete", "statefulset", "db")
		s.must("wait", "pvc", "--all", "--for=delete", "--timeout=60s")
	})
	t.Run("deletecollection of what is not guarded", func(t *testing.T) {
		s := newShell(t)
		s.mustWith(service+"---"+statefulSet("replicas: 2"), "apply", "-f", "-")
		s.settled(2)
		err := clientFor(t, cluster.Kubeconfig).AppsV1().StatefulSets(s.namespace).
			DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("a rollout and its restart", func(t *testing.T) {
		s := newShell(t)
		s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
		s.settled(3)
		s.must("set", "image", "statefulset/db", "db=example/db:2")
		s.must("rollout", "status", "statefulset/db", "--timeout=60s")
		s.must("rollout", "restart", "statefulset/db")
		s.must("rollout", "status", "statefulset/db", "--timeout=60s")
	})
	t.Run("deleting the governing Service", func(t *testing.T) {
		s := newShell(t)
		s.mustWith(service+"---"+statefulSet("replicas: 2"), "apply", "-f", "-")
		s.settled(2)
		if out := s.must("delete", "service", "db", "--dry-run=server"); !strings.Contains(out, "Warning: headless-service/in-use") {
			t.Errorf("no warning: %s", out)
		}
		s.refused([]string{"headless-service/selector"}, "set", "selector", "service", "db", "app=web")
		s.must("delete", "statefulset", "db")
		s.must("delete", "service", "db")
	})
}

// TestTraces checks what a refusal leaves behind: an Event on the object, a metric, a log line.
func TestTraces(t *testing.T) {
	s := newShell(t)
	s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
	s.settled(3)
	const denials = `mooring_findings_total{action="Deny",check="quorum",policy="baseline",rule="scale-down"}`
	before := metric(t, denials)
	s.refused([]string{"scale-down/quorum"}, "scale", "statefulset", "db", "--replicas=1", "--dry-run=server")
	s.refused([]string{"scale-down/quorum"}, "scale", "statefulset", "db", "--replicas=1")
	if counted := metric(t, denials) - before; counted != 2 {
		t.Errorf("%v denials were counted, want both", counted)
	}
	await(t, func() error {
		out, err := s.try("", "get", "events", "--field-selector=reason=Denied", "-o", "jsonpath={range .items[*]}{.involvedObject.kind}/{.involvedObject.name} {.message}{end}")
		if err == nil && strings.Count(out, "StatefulSet/db admin: scale-down/quorum") != 1 {
			err = fmt.Errorf("the events are %q; want one, as a dry run leaves none", out)
		}
		return err
	})
	if described := s.must("describe", "statefulset", "db"); !strings.Contains(described, "Denied") {
		t.Errorf("kubectl describe does not show the event:\n%s", described)
	}
}

// TestBadInput sends the webhook what no API server sends. It must answer clearly and continue.
func TestBadInput(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	review := func(request string) string {
		return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":` + request + `}`
	}
	sts := `"kind":{"group":"apps","version":"v1","kind":"StatefulSet"},"resource":{"group":"apps","version":"v1","resource":"statefulsets"}`
	for _, c := range []struct {
		name, contentType string
		body              io.Reader
		status            int
		says              string
	}{
		{"not JSON", "application/json", strings.NewReader("hello"), 400, "not an AdmissionReview"},
		{"nothing", "application/json", strings.NewReader(""), 400, "not an AdmissionReview"},
		{"another content type", "text/plain", strings.NewReader("{}"), 415, "want application/json"},
		{"another kind", "application/json", strings.NewReader(`{"apiVersion":"v1","kind":"Pod"}`), 400, "v1 Pod, not an AdmissionReview"},
		{"no request", "application/json", strings.NewReader(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`), 400, "no request"},
		{"no uid", "application/json", strings.NewReader(review(`{}`)), 400, "no uid"},
		{"10 MiB", "application/json", bytes.NewReader(bytes.Repeat([]byte(" "), 10<<20)), 413, "larger than"},
		{"an object that does not decode", "application/json", strings.NewReader(review(`{"uid":"1",` + sts + `,"operation":"CREATE","object":{"spec":{"replicas":"three"}}}`)), 400, "/request/object/spec/replicas"},
		{"no object", "application/json", strings.NewReader(review(`{"uid":"1",` + sts + `,"operation":"CREATE"}`)), 400, "has no object"},
		{"an unknown kind", "application/json", strings.NewReader(review(`{"uid":"1","kind":{"group":"example","version":"v1","kind":"Thing"},"operation":"CREATE","object":{}}`)), 400, "example/v1 Thing"},
	} {
		for _, path := range []string{"/mutate", "/validate"} {
			t.Run(c.name+path, func(t *testing.T) {
				if seeker, ok := c.body.(io.Seeker); ok {
					if _, err := seeker.Seek(0, io.SeekStart); err != nil {
						t.Fatal(err)
					}
				}
				response, err := client.Post(cluster.Webhook+path, c.contentType, io.NopCloser(c.body))
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				body, _ := io.ReadAll(response.Body)
				if response.StatusCode != c.status || !strings.Contains(string(body), c.says) {
					t.Errorf("got %d %q; want %d and %q", response.StatusCode, body, c.status, c.says)
				}
			})
		}
	}
	if _, err := harness.Get(t.Context(), cluster.Health+"/readyz"); err != nil {
		t.Errorf("the server does not go on: %v", err)
	}
	if n := metric(t, "mooring_panics_total"); n != 0 {
		t.Errorf("%v reviews panicked", n)
	}
}
