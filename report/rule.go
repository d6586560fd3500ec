package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// RulePage returns the documentation of a rule in Markdown. The messages in its examples are those of the engine.
func RulePage(rule policies.Rule) (string, error) {
	parameters, err := parametersOf(rule.Block)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n**%s.**\n\n%s\n\nSeverity: %s. Judged on: %s.\n", rule.ID, rule.Title, rule.Doc, rule.Severity, triggers(rule))

	b.WriteString("\n## Checks\n\n| check | finds |\n| --- | --- |\n")
	for _, c := range rule.Checks {
		row(&b, code(rule.ID+"/"+c.Name), c.Doc)
	}

	fmt.Fprintf(&b, "\n## Parameters\n\nUnder `spec.rules.%s` of a StatefulPolicy:\n\n| parameter | value | meaning |\n| --- | --- | --- |\n", rule.Block)
	for _, p := range parameters {
		row(&b, code(p.name), p.value, p.doc)
	}

	b.WriteString("\n## Profiles\n")
	for _, name := range profiles.Names {
		block, err := profileBlock(name, rule)
		if err != nil {
			return "", err
		}
		if block == nil {
			fmt.Fprintf(&b, "\n`%s`: off\n", name)
			continue
		}
		fmt.Fprintf(&b, "\n`%s`:\n\n```yaml\n%s```\n", name, toYAML(map[string]any{rule.Block: block}))
	}

	fmt.Fprintf(&b, `
## Examples

Each shows only what differs from an ordinary StatefulSet `+"`db`"+` of three replicas with its headless Service, under a policy
`+"`example`"+` that holds, where nothing else is said, `+"`%s: {action: Deny}`"+`.
`, rule.Block)
	for _, c := range rule.Cases {
		if err := example(&b, rule, c); err != nil {
			return "", err
		}
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
			block, err := profileBlock(name, rule)
			if err != nil {
				return "", err
			}
			action, _ := block["action"].(string)
			cells = append(cells, cmp.Or(action, string(v1alpha1.Off)))
		}
		row(&b, cells...)
	}
	return b.String(), nil
}

// example writes one case: the change, what is around it, and what the engine says.
func example(b *strings.Builder, rule policies.Rule, c policies.Case) error {
	verdict, err := c.Judge(rule)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\n### %s\n", capital(c.Name))
	if c.Policy != "" {
		fmt.Fprintf(b, "\nPolicy: `%s: {%s}`\n", rule.Block, c.Policy)
	}
	if around := around(c); around != "" {
		fmt.Fprintf(b, "\n%s\n", around)
	}
	before, after := "Before", "After"
	if c.Old == "" {
		after = "Created"
	}
	if c.New == "" {
		before = "Deleted"
	}
	if err := errors.Join(manifest(b, before, c.Old), manifest(b, after, c.New)); err != nil {
		return err
	}
	for _, given := range c.Given {
		if err := manifest(b, "While there is", given); err != nil {
			return err
		}
	}
	if c.Fills != "" {
		fmt.Fprintf(b, "\nThe default is filled in: %s.\n", c.Fills)
	} else if len(verdict.Findings) == 0 {
		b.WriteString("\nIt passes.\n")
	}
	for _, f := range verdict.Findings {
		fmt.Fprintf(b, "\n```text\n%s %s: %s\nTo fix: %s\n", f.Action, f.ID(), f.Message, f.Remedy)
		if f.Note != "" {
			fmt.Fprintf(b, "(%s)\n", f.Note)
		}
		b.WriteString("```\n")
	}
	return nil
}

// around says in words what a case has besides its manifests.
func around(c policies.Case) string {
	var said []string
	for _, part := range []struct {
		what string
		of   []int32
	}{{"Pods that are ready", c.Ready}, {"Pods that are not ready", c.NotReady}, {"Claims of Pods", c.Claims}} {
		if len(part.of) > 0 {
			said = append(said, fmt.Sprintf("%s: %s.", part.what, strings.Trim(strings.ReplaceAll(fmt.Sprint(part.of), " ", ", "), "[]")))
		}
	}
	if c.WithoutService && !slices.ContainsFunc(c.Given, func(text string) bool { return strings.Contains(text, "kind: Service") }) {
		said = append(said, "There is no Service.")
	}
	if c.User != "" {
		said = append(said, "The request is by "+code(c.User)+".")
	}
	if c.DeleteOptions != "" {
		said = append(said, "The delete says "+code(c.DeleteOptions)+".")
	}
	if c.DryRun {
		said = append(said, "The request is a dry run.")
	}
	return strings.Join(said, " ")
}

// manifest writes a case's lines, if there are any, in the form most people know.
func manifest(b *strings.Builder, title, text string) error {
	if text == "" {
		return nil
	}
	var o map[string]any
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	fmt.Fprintf(b, "\n%s:\n\n```yaml\n%s```\n", title, toYAML(o))
	return nil
}

// profileBlock returns the rule's block in a profile, nil where it has none.
func profileBlock(name string, rule policies.Rule) (map[string]any, error) {
	profile, err := profiles.Load(name)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(profile.Spec.Rules)
	if err != nil {
		return nil, err
	}
	var blocks map[string]map[string]any
	err = json.Unmarshal(data, &blocks)
	return blocks[rule.Block], err
}

func triggers(rule policies.Rule) string {
	var on []string
	for _, t := range rule.On {
		var operations []string
		for _, op := range t.Operations {
			operations = append(operations, strings.ToLower(string(op)))
		}
		on = append(on, t.Kind+" "+strings.Join(operations, ", "))
	}
	return strings.Join(on, "; ")
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
