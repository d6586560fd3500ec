// Package report checks output for other programs against what those programs read: the golden files in report/testdata are read by
// a schema, a parser and a browser.
package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/joshdk/go-junit"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// golden returns the golden files of a format, by name.
func golden(t *testing.T, format string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "report", "testdata", "*."+format))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of format %s: %v", format, err)
	}
	named := map[string]string{}
	for _, file := range files {
		named[strings.TrimSuffix(filepath.Base(file), "."+format)] = file
	}
	return named
}

func TestSARIFKeepsItsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "sarif-2.1.0-rtm.5.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range golden(t, "sarif") {
		t.Run(name, func(t *testing.T) {
			if err := schema.Validate(readJSON(t, file)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a schema that takes anything would prove nothing", func(t *testing.T) {
		broken := readJSON(t, golden(t, "sarif")["check"])
		run := broken.(map[string]any)["runs"].([]any)[0].(map[string]any)
		run["results"].([]any)[0].(map[string]any)["level"] = "deny"
		if schema.Validate(broken) == nil {
			t.Error("the level deny is none of SARIF's")
		}
	})
}

func readJSON(t *testing.T, file string) any {
	t.Helper()
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	document, err := jsonschema.UnmarshalJSON(opened)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestJUnitIsRead(t *testing.T) {
	type counts struct{ passed, failed, broken int }
	want := map[string]counts{"check": {3, 2, 2}, "audit": {2, 1, 0}, "replay": {0, 1, 0}, "clean": {1, 0, 0}}
	for name, file := range golden(t, "junit") {
		t.Run(name, func(t *testing.T) {
			suites, err := junit.IngestFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got counts
			for _, suite := range suites {
				got.passed += suite.Totals.Passed
				got.failed += suite.Totals.Failed
				got.broken += suite.Totals.Error
				for _, c := range suite.Tests {
					if (c.Status == junit.StatusFailed || c.Status == junit.StatusError) && (c.Message == "" || c.Error == nil) {
						t.Errorf("%s %s fails without saying why", c.Classname, c.Name)
					}
				}
			}
			if got != want[name] {
				t.Errorf("a reader counts %+v, want %+v", got, want[name])
			}
		})
	}
}
