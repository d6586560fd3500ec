package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/test/harness"
)

// defaulting is a policy whose defaults differ from the API server's.
const defaulting = `
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: NAMESPACE}
spec:
  match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}
  rules:
    retentionPolicy: {action: Warn, default: {whenDeleted: Delete, whenScaled: Delete}}
    updateStrategy: {action: Warn, default: {type: OnDelete}}
`

// TestDefaultsLandWhereTheUserWasSilent covers the ways in which a StatefulSet reaches the API server.
func TestDefaultsLandWhereTheUserWasSilent(t *testing.T) {
	const spoken = "persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}"
	send := map[string]func(shell, string){
		"kubectl apply": func(s shell, m string) { s.mustWith(m, "apply", "-f", "-") },
		"kubectl apply --server-side": func(s shell, m string) {
			s.mustWith(m, "apply", "--server-side", "-f", "-")
		},
		"kubectl create": func(s shell, m string) { s.mustWith(m, "create", "-f", "-") },
		"client-go": func(s shell, m string) {
			var set appsv1.StatefulSet
			if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(m, "NAMESPACE", s.namespace)), &set); err != nil {
				s.Fatal(err)
			}
			client := clientFor(s.T, cluster.Kubeconfig)
			if _, err := client.AppsV1().StatefulSets(s.namespace).Create(context.Background(), &set, metav1.CreateOptions{}); err != nil {
				s.Fatal(err)
			}
		},
	}
	for _, c := range []struct {
		way, lines string
		want       string
	}{
		{"kubectl apply", "", "Delete Delete OnDelete"},
		{"kubectl apply", spoken, "Retain Retain OnDelete"},
		{"kubectl apply", "persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain}", "Retain Delete OnDelete"},
		{"kubectl apply", "updateStrategy: {type: RollingUpdate}", "Delete Delete RollingUpdate"},
		{"kubectl apply", "updateStrategy: {rollingUpdate: {partition: 1}}", "Delete Delete RollingUpdate"},
		{"kubectl apply --server-side", "", "Delete Delete OnDelete"},
		{"kubectl apply --server-side", spoken, "Retain Retain OnDelete"},
		{"kubectl apply --server-side", "updateStrategy: {type: RollingUpdate}", "Delete Delete RollingUpdate"},
		// A create does not show whether the API default was written, so a less safe default must not replace it.
		{"kubectl create", "", "Retain Retain OnDelete"},
		{"kubectl create", "persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}", "Retain Delete OnDelete"},
		{"client-go", "", "Retain Retain OnDelete"},
		{"client-go", spoken, "Retain Retain OnDelete"},
	} {
		name := fmt.Sprintf("%s %s", c.way, strings.NewReplacer("persistentVolumeClaimRetentionPolicy", "retention", ":", "", "{", "", "}", "").Replace(c.lines))
		t.Run(strings.TrimSpace(name), func(t *testing.T) {
			t.Parallel()
			s := newPolicyShell(t)
			s.mustWith(service, "apply", "-f", "-")
			send[c.way](s, statefulSet("replicas: 0", c.lines))
			if got := s.values(); got != c.want {
				t.Errorf("stored %q, want %q", got, c.want)
			}
		})
	}
	t.Run("keep annotation", func(t *testing.T) {
		t.Parallel()
		s := newPolicyShell(t)
		s.mustWith(service, "apply", "-f", "-")
		kept := strings.Replace(statefulSet("replicas: 0"), "name: db, namespace", `annotations: {mooring.dev/keep: "retention-policy, update-strategy"}, name: db, namespace`, 1)
		s.mustWith(kept, "create", "-f", "-")
		if got := s.values(); got != "Retain Retain RollingUpdate" {
			t.Errorf("stored %q", got)
		}
	})
}

// TestAppliedTwice checks that a second apply of the same manifest changes nothing, and that a value set manually stays.
func TestAppliedTwice(t *testing.T) {
	for _, way := range [][]string{{"apply", "-f", "-"}, {"apply", "-f", "-", "--server-side"}} {
		t.Run(strings.Join(way, " "), func(t *testing.T) {
			s := newPolicyShell(t)
			s.mustWith(service, "apply", "-f", "-")
			s.mustWith(statefulSet("replicas: 0"), way...)
			version := s.must("get", "statefulset", "db", "-o", "jsonpath={.metadata.resourceVersion}")
			filled := metric(t, "mooring_defaults_total")
			s.mustWith(statefulSet("replicas: 0"), way...)
			if again := s.must("get", "statefulset", "db", "-o", "jsonpath={.metadata.resourceVersion}"); again != version {
				t.Errorf("the second apply changed the object: resourceVersion %s, then %s", version, again)
			}
			if again := metric(t, "mooring_defaults_total"); again != filled {
				t.Errorf("the second apply was patched: %v fields, then %v", filled, again)
			}
			s.must("patch", "statefulset", "db", "-p", `{"spec":{"updateStrategy":{"type":"RollingUpdate"}}}`)
			s.must("patch", "statefulset", "db", "-p", `{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}`)
			if got := s.values(); got != "Delete Delete RollingUpdate" {
				t.Errorf("after an edit of the strategy and another of the template, stored %q; the fields are managed by %s", got,
					s.must("get", "statefulset", "db", "-o", "jsonpath={.metadata.managedFields}"))
			}
		})
	}
}

// newPolicyShell creates a namespace with the policy above in force.
func newPolicyShell(t *testing.T) shell {
	t.Helper()
	s := newShell(t)
	s.mustWith(defaulting, "apply", "-f", "-")
	t.Cleanup(func() { s.must("delete", "statefulpolicy", s.namespace) })
	// The webhook watches policies: a dry run shows when it has this one.
	probe := strings.ReplaceAll(statefulSet("replicas: 0"), "name: db", "name: probe")
	await(t, func() error {
		out, err := s.try(probe, "create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.updateStrategy.type}")
		if err == nil && !strings.Contains(out, "OnDelete") {
			err = fmt.Errorf("the policy is not in force: %s", out)
		}
		return err
	})
	return s
}

func (s shell) values() string {
	s.Helper()
	return s.must("get", "statefulset", "db", "-o",
		"jsonpath={.spec.persistentVolumeClaimRetentionPolicy.whenDeleted} {.spec.persistentVolumeClaimRetentionPolicy.whenScaled} {.spec.updateStrategy.type}")
}

// await polls until there is no error.
func await(t *testing.T, condition func() error) {
	t.Helper()
	if err := harness.Await(t.Context(), func(context.Context) error { return condition() }); err != nil {
		t.Fatal(err)
	}
}

// metric returns the sum of a metric's series.
func metric(t *testing.T, name string) float64 {
	t.Helper()
	text, err := harness.Get(t.Context(), cluster.Metrics+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		var value float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " "):], &value); err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}
