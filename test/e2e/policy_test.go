package e2e

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestPolicies checks that the API server's schema or Mooring refuses the invalid policies of a table, and names the invalid field. It also
// checks the warning when a policy is weakened or deleted. A test of mooring check uses the same table.
func TestPolicies(t *testing.T) {
	s := newShell(t)
	policy := func(spec string) string {
		return "{apiVersion: mooring.dev/v1alpha1, kind: StatefulPolicy, metadata: {name: NAMESPACE}, spec: " + spec + "}"
	}
	text, err := os.ReadFile("../../policies/crd/testdata/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var table []struct {
		Name     string            `json:"name"`
		Metadata map[string]string `json:"metadata"`
		Spec     map[string]any    `json:"spec"`
		Refused  string            `json:"refused"`
		Value    string            `json:"value"`
	}
	if err := yaml.UnmarshalStrict(text, &table); err != nil {
		t.Fatal(err)
	}
	for _, tc := range table {
		t.Run(tc.Name, func(t *testing.T) {
			object := map[string]any{"apiVersion": "mooring.dev/v1alpha1", "kind": "StatefulPolicy", "metadata": map[string]string{"name": "refused"}, "spec": tc.Spec}
			if tc.Metadata != nil {
				object["metadata"] = tc.Metadata
			}
			text, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.try(string(text), "apply", "--dry-run=server", "-f", "-")
			switch {
			case tc.Refused == "" && err != nil:
				t.Errorf("it is refused: %s", out)
			case tc.Refused != "" && (err == nil || !strings.Contains(out, tc.Refused) || !strings.Contains(out, tc.Value)):
				t.Errorf("the answer does not name %q and %q:\n%s", tc.Refused, tc.Value, out)
			}
		})
	}
	s.mustWith(policy("{match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}, rules: {spread: {action: Deny}}}"), "apply", "-f", "-")
	const lost = "no longer refused by spread"
	if out := s.must("patch", "statefulpolicy", s.namespace, "--type=merge", "--dry-run=server", "-p", `{"spec":{"mode":"Warn"}}`); !strings.Contains(out, lost) {
		t.Errorf("no warning about the rules that the new mode no longer enforces:\n%s", out)
	}
	if out := s.must("delete", "statefulpolicy", s.namespace); !strings.Contains(out, lost) {
		t.Errorf("no warning about the rules that the delete no longer enforces:\n%s", out)
	}
}
