package ruledoc

import (
	"bufio"
	"fmt"
	"io"

	"strings"
	"text/tabwriter"

	"github.com/mooring-dev/mooring/policies/words"
	"sigs.k8s.io/yaml"
)

// WriteTable writes a table of the rules with their action in each profile.
func WriteTable(w io.Writer, all []Rule) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "RULE")
	for _, p := range all[0].Profiles {
		fmt.Fprintf(table, "\t%s", strings.ToUpper(p.Name))
	}
	fmt.Fprintln(table, "\tIT SAYS")
	for _, rule := range all {
		fmt.Fprint(table, rule.ID)
		for _, p := range rule.Profiles {
			fmt.Fprintf(table, "\t%s", p.Action)
		}
		fmt.Fprintf(table, "\t%s\n", rule.Title)
	}
	return table.Flush()
}

// WriteText writes the documentation of a rule for a terminal.
func (d Rule) WriteText(w io.Writer, bold func(string) string) error {
	b := bufio.NewWriter(w)
	t := text{b, bold}
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
	t.line("  ", "Each example shows only what differs from an ordinary StatefulSet of three replicas with its headless Service, under")
	t.line("  ", d.Block+": {action: Deny}, unless the example shows other parameters.")
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
	t.line("  ", t.bold(words.Capital(e.Name)))
	if e.Policy != nil {
		t.line("    ", "Policy:")
		t.block("      ", toYAML(map[string]any{block: e.Policy}))
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

// text writes lines to a terminal.
type text struct {
	*bufio.Writer
	bold func(string) string
}

func (t text) line(indent string, words ...string) {
	t.WriteString(strings.TrimRight(indent+strings.Join(words, " "), " ") + "\n")
}

// toYAML encodes a value that was read from JSON, so it cannot fail.
func toYAML(v any) string {
	data, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
