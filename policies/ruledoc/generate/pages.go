package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/ruledoc"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

// page returns the documentation of a rule in Markdown. The engine writes the messages in its examples.
func page(rule policies.Rule, doc ruledoc.Rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n**%s.**\n\n%s\n\nSeverity: %s. Judged on: %s.\n", rule.ID, rule.Title, rule.Doc, rule.Severity, doc.On)

	b.WriteString("\n## Checks\n\n| check | finds |\n| --- | --- |\n")
	for _, c := range doc.Checks {
		row(&b, code(c.ID), c.Finds)
	}

	fmt.Fprintf(&b, "\n## Parameters\n\nUnder `spec.rules.%s` of a StatefulPolicy:\n\n| parameter | value | meaning |\n| --- | --- | --- |\n", rule.Block())
	for _, p := range doc.Parameters {
		row(&b, code(p.Name), p.Value, p.Doc)
	}

	b.WriteString("\n## Profiles\n")
	for _, p := range doc.Profiles {
		if p.Block == nil {
			fmt.Fprintf(&b, "\n`%s`: off\n", p.Name)
			continue
		}
		fmt.Fprintf(&b, "\n`%s`:\n\n```yaml\n%s```\n", p.Name, toYAML(map[string]any{rule.Block(): p.Block}))
	}

	fmt.Fprintf(&b, `
## Examples

Each example shows only what differs from an ordinary StatefulSet `+"`db`"+` of three replicas with its headless Service, under a policy
`+"`example`"+` with `+"`%s: {action: Deny}`"+`.
`, rule.Block())
	for _, e := range doc.Examples {
		markdown(&b, e, rule.Block())
	}
	return b.String()
}

// index returns a table of all rules in Markdown, with links to their pages.
func index(docs []ruledoc.Rule, prefix string) string {
	var b strings.Builder
	b.WriteString("| rule | it says | judged on |")
	for _, name := range profiles.Names {
		fmt.Fprintf(&b, " %s |", name)
	}
	b.WriteString("\n" + strings.Repeat("| --- ", 3+len(profiles.Names)) + "|\n")
	for _, doc := range docs {
		cells := []string{fmt.Sprintf("[%s](%s%s.md)", doc.ID, prefix, doc.ID), doc.Title, doc.On}
		for _, p := range doc.Profiles {
			cells = append(cells, p.Action)
		}
		row(&b, cells...)
	}
	return b.String()
}

// The lines that enclose a generated table in a page written by hand.
const (
	tableBegins = "<!-- make generate writes this table -->\n"
	tableEnds   = "<!-- the end of the table -->\n"
)

// withTable returns the page with its table replaced.
func withTable(name, table string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return nil, fmt.Errorf("%s: the table must stand between the lines %q and %q", name, tableBegins, tableEnds)
	}
	return []byte(before + tableBegins + table + tableEnds + after), nil
}

// refusing returns the table of the rules that refuse requests under baseline.
func refusing(docs []ruledoc.Rule) string {
	var b strings.Builder
	b.WriteString("| rule | it says |\n| --- | --- |\n")
	for _, doc := range docs {
		if slices.ContainsFunc(doc.Profiles, func(p ruledoc.Profile) bool { return p.Name == policies.Baseline && p.Action == string(v1alpha1.Deny) }) {
			row(&b, fmt.Sprintf("[%s](docs/rules/%[1]s.md)", doc.ID), doc.Title)
		}
	}
	return b.String()
}

// operators returns the table of the custom resources that need no entry in a policy.
func operators() string {
	var b strings.Builder
	b.WriteString("| group | kind | fields |\n| --- | --- | --- |\n")
	known := policies.WellKnown()
	for i := 0; i < len(known); {
		first, fields := known[i], []string{}
		for ; i < len(known) && known[i].Group == first.Group && known[i].Kind == first.Kind; i++ {
			fields = append(fields, "`"+known[i].ReplicasPath+"`")
		}
		row(&b, first.Group, first.Kind, strings.Join(fields, ", "))
	}
	return b.String()
}

// markdown writes an example: the change, the objects around it, and the engine's answer.
func markdown(b *strings.Builder, e ruledoc.Example, block string) {
	fmt.Fprintf(b, "\n### %s\n", words.Capital(e.Name))
	if e.Policy != nil {
		fmt.Fprintf(b, "\nPolicy: `%s: %s`\n", block, flow(e.Policy))
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

// toYAML encodes a value that was read from YAML or JSON, so it cannot fail.
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
