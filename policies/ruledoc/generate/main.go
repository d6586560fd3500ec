// Command generate writes what follows from the rules: their pages and table, the documentation that mooring explain prints, the
// profiles, and the data for the chart and the audit policy. It runs in the repository's root, and can write to another folder for
// comparison.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/ruledoc"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

func main() {
	to := flag.String("o", ".", "the folder to write below")
	flag.Parse()
	if err := generate(*to); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(to string) error {
	files := map[string][]byte{}
	var docs []ruledoc.Rule
	for _, rule := range rules.All {
		doc, err := explain(rule)
		if err != nil {
			return fmt.Errorf("%s: %w", rule.ID, err)
		}
		docs = append(docs, doc)
		files["docs/rules/"+rule.ID+".md"] = []byte(page(rule, doc))
	}
	files["docs/rules/README.md"] = []byte("# Rules\n\nThe last columns show the action of each profile. `make generate` writes these pages from the rules.\n\n" + index(docs, ""))
	var err error
	if files["policies/ruledoc/rules.json"], err = json.MarshalIndent(docs, "", " "); err != nil {
		return err
	}
	if files["README.md"], err = withTable("README.md", refusing(docs)); err != nil {
		return err
	}
	const owners = "docs/operating/owners.md"
	if files[owners], err = withTable(owners, operators()); err != nil {
		return err
	}
	if files["deploy/chart/generated.yaml"], err = chartFile(); err != nil {
		return err
	}
	if files["deploy/audit-policy.yaml"], err = auditPolicy(); err != nil {
		return err
	}
	if files[testSchemaFile], err = testSchema(); err != nil {
		return err
	}
	for _, name := range profiles.Names {
		if files["policies/profiles/"+name+".yaml"], err = profile(name); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(to, "docs/rules")); err != nil {
		return err
	}
	for name, data := range files {
		name = filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// about describes each profile.
var about = map[string]string{
	"baseline":   "Fits almost every stateful workload. It refuses requests that lose data, changes that applying again cannot undo, and\n# scale-downs that lose the majority of a workload with data. For everything else it warns.",
	"restricted": "For data that nobody can restore: scale down one step at a time, always keep claims, and keep the majority in rollouts.",
}

// profile returns the StatefulPolicy of a profile, made from the rules.
func profile(name string) ([]byte, error) {
	rules, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "StatefulPolicy", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"rules": profileRules(name)},
	})
	return fmt.Appendf(nil, "# %s\n# Written by make generate.\n%s", about[name], rules), err
}

func profileRules(name string) *v1alpha1.Rules {
	r := &v1alpha1.Rules{}
	for _, rule := range rules.All {
		rule.Enable(name, r)
	}
	return r
}

// flow returns a value on one line, as JSON, which is also YAML.
func flow(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
