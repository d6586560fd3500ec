package main

import (
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestCheckRefusesWhatTheClusterRefuses uses the same table as the tests on a real API server.
func TestCheckRefusesWhatTheClusterRefuses(t *testing.T) {
	text, err := os.ReadFile("../../policies/crd/testdata/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var table []struct {
		Name     string             `json:"name"`
		Metadata *metav1.ObjectMeta `json:"metadata"`
		Spec     map[string]any     `json:"spec"`
		Refused  string             `json:"refused"`
		Value    string             `json:"value"`
	}
	if err := yaml.UnmarshalStrict(text, &table); err != nil {
		t.Fatal(err)
	}
	for _, tc := range table {
		t.Run(tc.Name, func(t *testing.T) {
			name := "databases"
			if tc.Metadata != nil {
				name = tc.Metadata.Name
			}
			policy, err := yaml.Marshal(map[string]any{"apiVersion": "mooring.dev/v1alpha1", "kind": "StatefulPolicy", "metadata": map[string]any{"name": name}, "spec": tc.Spec})
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{"policy.yaml": string(policy), "db.yaml": killed("db", "2")}
			code, out, errOut := mooring(t, files, "", "check", "db.yaml", "--policy=policy.yaml", "--fail-on=never")
			switch all := out + errOut; {
			case tc.Refused == "" && code != 0:
				t.Errorf("exit code %d, output:\n%s", code, all)
			case tc.Refused != "" && (code != 2 || !strings.Contains(all, "--policy: policy.yaml:") || !strings.Contains(all, tc.Refused) || !strings.Contains(all, tc.Value)):
				t.Errorf("exit code %d, and the output does not name %s and %s:\n%s", code, tc.Refused, tc.Value, all)
			}
		})
	}
}
