package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies/ruletest"
)

// TestSchema checks that the published schema accepts every file that the player accepts, and no file with a mistake.
func TestSchema(t *testing.T) {
	t.Chdir("../../..")
	text, err := testSchema()
	if err != nil {
		t.Fatal(err)
	}
	var schema spec.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	takes := func(data []byte) error {
		var v any
		if err := yaml.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		return validate.NewSchemaValidator(&schema, nil, "", strfmt.Default).Validate(v).AsError()
	}
	files, err := ruletest.Find([]string{"policies/rules/testdata", "docs"})
	if err != nil || len(files) == 0 {
		t.Fatalf("test files %q, error %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := takes(data); err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
	for _, tc := range []struct{ name, cases string }{
		{"an unknown field", "[{name: x, news: {kind: StatefulSet}}]"},
		{"no name", "[{new: {kind: StatefulSet}}]"},
		{"an unknown action", "[{name: x, want: ['scale-down/quorum:Dny']}]"},
		{"an invalid ordinal", "[{name: x, ready: [-1]}]"},
		{"no case", "[]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if takes([]byte("{apiVersion: mooring.dev/v1alpha1, kind: PolicyTest, cases: "+tc.cases+"}")) == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}
