package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
)

// WriteRules writes a table of all the rules, with what each profile does with their findings.
func WriteRules(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "RULE\t%s\tIT SAYS\n", strings.ToUpper(strings.Join(profiles.Names, "\t")))
	for _, rule := range policies.Rules {
		fmt.Fprintf(table, "%s\t", rule.ID)
		for _, name := range profiles.Names {
			p, err := profileOf(name, rule)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "%s\t", p.Action)
		}
		fmt.Fprintln(table, rule.Title)
	}
	return table.Flush()
}

// WriteRulesJSON writes all that there is to say of all the rules as a list in JSON.
func WriteRulesJSON(w io.Writer) error {
	var all []RuleDoc
	for _, rule := range policies.Rules {
		doc, err := Explain(rule)
		if err != nil {
			return fmt.Errorf("%s: %w", rule.ID, err)
		}
		all = append(all, doc)
	}
	return indentedJSON(w, all)
}

// WriteJSON writes all that there is to say of a rule as JSON.
func (d RuleDoc) WriteJSON(w io.Writer) error { return indentedJSON(w, d) }

// WriteText writes all that there is to say of a rule, for a person at a terminal.
func (d RuleDoc) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	t := text{b, painted(w)}
	t.line("", t.bold(d.ID)+":", d.Title+".")
	t.line("")
	t.block("", d.Doc)
	t.line("")
	t.line("", t.bold("Severity"), " "+d.Severity)
	t.line("", t.bold("Judged on"), d.On)
	t.line("", t.bold("More"), "     "+d.Docs)

	t.head("Checks")
	width := 0
	for _, c := range d.Checks {
		width = max(width, len(c.ID))
	}
	for _, c := range d.Checks {
		t.line("  ", t.bold(c.ID), strings.Repeat(" ", width-len(c.ID))+c.Finds)
	}

	t.head("Parameters, under spec.rules." + d.Block + " of a StatefulPolicy")
	for _, p := range d.Parameters {
		value := ""
		if p.Value != "" {
			value = "<" + p.Value + ">"
		}
		t.line("  ", t.bold(p.Name), value)
		t.line("      ", p.Doc)
	}

	t.head("Profiles")
	for _, p := range d.Profiles {
		if p.Block == nil {
			t.line("  ", t.bold(p.Name)+":", "off")
			continue
		}
		t.line("  ", t.bold(p.Name)+":")
		t.block("    ", toYAML(map[string]any{d.Block: p.Block}))
	}

	t.head("Examples")
	t.line("  ", "Each shows what differs from an ordinary StatefulSet of three replicas with its headless Service, under")
	t.line("  ", d.Block+": {action: Deny}, where no other parameters are said.")
	for _, e := range d.Examples {
		t.example(e, d.Block)
	}
	return b.Flush()
}

func (t text) head(title string) {
	t.line("")
	t.line("", t.bold(title))
}

func (t text) example(e Example, block string) {
	t.line("")
	t.line("  ", t.bold(capital(e.Name)))
	if e.Policy != "" {
		t.line("    ", "Policy: "+block+": {"+e.Policy+"}")
	}
	t.block("    ", e.Around)
	for _, m := range e.Manifests {
		t.line("    ", m.Title+":")
		t.block("      ", m.YAML)
	}
	for _, said := range e.Verdict {
		t.block("    ", "=> "+said.Text)
	}
}

// block writes every line of the text after the indent.
func (t text) block(indent, text string) {
	for line := range strings.Lines(text) {
		t.WriteString(indent + line)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		t.WriteString("\n")
	}
}
