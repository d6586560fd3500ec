package report

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
)

// RulePage returns the documentation of a rule in Markdown. The messages in its examples are those of the engine.
func RulePage(rule policies.Rule) (string, error) {
	doc, err := Explain(rule)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n**%s.**\n\n%s\n\nSeverity: %s. Judged on: %s.\n", rule.ID, rule.Title, rule.Doc, rule.Severity, doc.On)

	b.WriteString("\n## Checks\n\n| check | finds |\n| --- | --- |\n")
	for _, c := range doc.Checks {
		row(&b, code(c.ID), c.Finds)
	}

	fmt.Fprintf(&b, "\n## Parameters\n\nUnder `spec.rules.%s` of a StatefulPolicy:\n\n| parameter | value | meaning |\n| --- | --- | --- |\n", rule.Block)
	for _, p := range doc.Parameters {
		row(&b, code(p.Name), p.Value, p.Doc)
	}

	b.WriteString("\n## Profiles\n")
	for _, p := range doc.Profiles {
		if p.Block == nil {
			fmt.Fprintf(&b, "\n`%s`: off\n", p.Name)
			continue
		}
		fmt.Fprintf(&b, "\n`%s`:\n\n```yaml\n%s```\n", p.Name, toYAML(map[string]any{rule.Block: p.Block}))
	}

	fmt.Fprintf(&b, `
## Examples

Each shows only what differs from an ordinary StatefulSet `+"`db`"+` of three replicas with its headless Service, under a policy
`+"`example`"+` that holds, where nothing else is said, `+"`%s: {action: Deny}`"+`.
`, rule.Block)
	for _, e := range doc.Examples {
		e.markdown(&b, rule.Block)
	}
	return b.String(), nil
}

// RuleIndex returns a table of all the rules in Markdown, with links to their pages.
func RuleIndex() (string, error) {
	var b strings.Builder
	b.WriteString("# Rules\n\nThe last columns say what each profile does with a finding. `make generate` writes these pages from the rules.\n\n| rule | it says | judged on |")
	for _, name := range profiles.Names {
		fmt.Fprintf(&b, " %s |", name)
	}
	b.WriteString("\n" + strings.Repeat("| --- ", 3+len(profiles.Names)) + "|\n")
	for _, rule := range policies.Rules {
		cells := []string{fmt.Sprintf("[%s](%s.md)", rule.ID, rule.ID), rule.Title, triggers(rule)}
		for _, name := range profiles.Names {
			p, err := profileOf(name, rule)
			if err != nil {
				return "", err
			}
			cells = append(cells, p.Action)
		}
		row(&b, cells...)
	}
	return b.String(), nil
}

// markdown writes one example: the change, what is around it, and what the engine says.
func (e Example) markdown(b *strings.Builder, block string) {
	fmt.Fprintf(b, "\n### %s\n", capital(e.Name))
	if e.Policy != "" {
		fmt.Fprintf(b, "\nPolicy: `%s: {%s}`\n", block, e.Policy)
	}
	if e.Around != "" {
		fmt.Fprintf(b, "\n%s\n", e.Around)
	}
	for _, m := range e.Manifests {
		fmt.Fprintf(b, "\n%s:\n\n```yaml\n%s```\n", m.Title, m.YAML)
	}
	for _, said := range e.Verdict {
		if said.Finding {
			fmt.Fprintf(b, "\n```text\n%s\n```\n", said.Text)
		} else {
			fmt.Fprintf(b, "\n%s\n", said.Text)
		}
	}
}

// toYAML writes what was itself read from YAML or JSON, and so can be written.
func toYAML(v any) string {
	data, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func row(b *strings.Builder, cells ...string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

func code(s string) string { return "`" + s + "`" }

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
