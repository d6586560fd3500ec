package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
)

var update = flag.Bool("update", false, "write docs/rules instead of comparing it")

// TestRulePages holds that docs/rules is what the rules say; with -update it makes it so.
func TestRulePages(t *testing.T) {
	dir := filepath.Join("..", "docs", "rules")
	index, err := RuleIndex()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"README.md": index}
	for _, rule := range policies.Rules {
		if want[rule.ID+".md"], err = RulePage(rule); err != nil {
			t.Fatalf("%s: %v", rule.ID, err)
		}
	}
	if *update {
		write(t, dir, want)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, ok := want[entry.Name()]; !ok {
			t.Errorf("docs/rules/%s belongs to no rule, run make generate", entry.Name())
		}
	}
	for name, page := range want {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("run make generate: %v", err)
			continue
		}
		if diff := cmp.Diff(page, string(data)); diff != "" {
			t.Errorf("docs/rules/%s is stale, run make generate (-want +got):\n%s", name, diff)
		}
	}
}

func write(t *testing.T, dir string, pages map[string]string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryBlockIsDocumented holds that no parameter of any rule lacks its meaning or its value.
func TestEveryBlockIsDocumented(t *testing.T) {
	for _, rule := range policies.Rules {
		parameters, err := parametersOf(rule.Block)
		if err != nil {
			t.Fatal(err)
		}
		if len(parameters) == 0 || parameters[0].Name != "action" {
			t.Errorf("%s: the first parameter is not the action: %v", rule.ID, parameters)
		}
		for _, p := range parameters {
			if p.Doc == "" {
				t.Errorf("%s: nothing says what %s means", rule.ID, p.Name)
			}
		}
	}
	if _, err := parametersOf("nothing"); err == nil {
		t.Error("a block that is none has parameters")
	}
}

func TestParameters(t *testing.T) {
	all, err := parametersOf("updateStrategy")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range all {
		got[p.Name] = p.Value
	}
	want := map[string]string{
		"action": "Deny, Warn, Audit, Off", "quorum": "Deny, Warn, Audit, Off", "partition": "Deny, Warn, Audit, Off",
		"require": "RollingUpdate, OnDelete", "default": "",
		"default.type": "RollingUpdate, OnDelete", "default.partition": "number, at least 0", "default.maxUnavailable": "number or percentage",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}
