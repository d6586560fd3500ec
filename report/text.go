package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

// paint colors words on a terminal.
type paint bool

// painted reports whether w is a color terminal, and its user did not turn colors off. See no-color.org.
func painted(w io.Writer) paint {
	file, ok := w.(*os.File)
	return paint(ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd())))
}

// in returns s in the color with this code, on one line.
func (p paint) in(code, s string) string {
	s = oneLine(s)
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Bold returns a function that makes words bold on a terminal, and returns them unchanged elsewhere.
func Bold(w io.Writer) func(string) string { return painted(w).bold }

func (p paint) bold(s string) string { return p.in("1", s) }
func (p paint) dim(s string) string  { return p.in("2", s) }

// action returns an action in its color.
func (p paint) action(a v1alpha1.Action) string {
	codes := map[v1alpha1.Action]string{v1alpha1.Deny: "1;31", v1alpha1.Warn: "1;33", v1alpha1.Audit: "1;36"}
	return p.in(codes[a], strings.ToLower(string(a)))
}

func writeText(w io.Writer, r Report) error {
	b := bufio.NewWriter(w)
	text{b, painted(w)}.report(r)
	return b.Flush()
}

// text writes a report for people. The buffered writer keeps errors until it is flushed.
type text struct {
	*bufio.Writer
	paint
}

func (t text) report(r Report) {
	t.overview(r)
	listed := 0
	for _, group := range r.byObject() {
		if r.Limit > 0 && listed >= r.Limit {
			break
		}
		listed += len(group)
		t.line("", t.bold(group[0].Object.String()), t.dim(group[0].Place()))
		for _, f := range group {
			t.finding(f)
		}
	}
	if more := len(r.Findings) - listed; more > 0 {
		t.line("", fmt.Sprintf("%s more. --limit=0 lists all; -o html=FILE writes a page to browse.", words.Plural(more, "finding")))
		t.line("")
	}
	for _, e := range r.Errors {
		t.line("", t.in("1;31", "error"), e.String())
	}
	if len(r.Errors) > 0 {
		t.line("")
	}
	if r.Replay != nil {
		t.replay(*r.Replay)
		return
	}
	t.line("", r.Summary())
	if r.Candidate != nil {
		t.line("", "Under "+oneLine(r.Candidate.name())+": "+r.Candidate.Summary())
	}
}

// overview sums up the findings by cluster and by check, if there are many.
func (t text) overview(r Report) {
	if r.Replay != nil {
		return
	}
	if rows := r.clusters(); len(r.Clusters) > 1 {
		t.line("", t.bold(r.Title()))
		t.line("")
		t.table("CLUSTER\tSTATEFULSETS\tDENIED\tWARNED\tAUDITED\tDATA\tAT RISK\tERRORS", len(rows), func(i int) string {
			c := rows[i]
			return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%s\t%s\t%d", oneLine(c.Name), c.StatefulSets, c.Denied, c.Warned, c.Audited, size(c.Bytes), size(c.AtRisk), c.Errors)
		})
	}
	if rows := r.checks(); len(rows) > 1 {
		t.table("CHECK\tSEVERITY\tDENIED\tWARNED\tAUDITED\tOBJECTS", len(rows), func(i int) string {
			c := rows[i]
			return fmt.Sprintf("%s\t%s\t%d\t%d\t%d\t%d", c.ID, c.Severity, c.Deny, c.Warn, c.Audit, c.Objects)
		})
	}
}

// table writes rows of tab-separated cells under a heading.
func (t text) table(head string, rows int, row func(int) string) {
	table := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, head)
	for i := range rows {
		fmt.Fprintln(table, row(i))
	}
	// The underlying writer keeps errors.
	_ = table.Flush()
	t.line("")
}

func (t text) finding(f Finding) {
	if f.Ignored != "" {
		t.line("  ", t.dim("ignored"), t.bold(f.ID()), t.dim(cmp.Or(f.Position.String(), f.Path)), "("+oneLine(f.Ignored)+")")
		t.line("")
		return
	}
	t.line("  ", t.action(f.Action), t.bold(f.ID()), t.dim(cmp.Or(f.Position.String(), f.Path)))
	if f.Request != nil {
		t.request(*f.Request)
	}
	t.line("    ", oneLine(f.Message))
	t.quote(f.Lines)
	if f.Remedy != "" {
		t.line("    ", t.bold("Fix:"), oneLine(f.Remedy))
	}
	if f.Note != "" {
		t.line("    ", "("+oneLine(f.Note)+")")
	}
	if in := f.rendered(); in != "" {
		t.line("    ", "("+oneLine(in)+")")
	}
	if f.Bypassed != "" {
		t.line("    ", "Bypassed:", oneLine(f.Bypassed))
	}
	t.line("    ", t.dim("policy "+f.Policy+", "+f.Docs))
	t.line("")
}

func (t text) quote(lines []Line) {
	if len(lines) == 0 {
		return
	}
	width := len(fmt.Sprint(lines[len(lines)-1].Number))
	for _, l := range lines {
		text := fmt.Sprintf("%*d | %s", width, l.Number, l.Text)
		if l.Offending {
			t.line("    ", t.in("31", ">"), t.bold(text))
		} else {
			t.line("      ", t.dim(text))
		}
	}
}

// line writes the non-empty words after the indent, and a newline.
func (t text) line(indent string, words ...string) {
	said := ""
	for _, word := range words {
		if word != "" {
			said += " " + word
		}
	}
	t.WriteString(strings.TrimRight(indent+strings.TrimPrefix(said, " "), " ") + "\n")
}

// oneLine escapes text so that it stays on its line and cannot control the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\n' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return '\ufffd'
		}
		return r
	}, s)
}

// Shown returns the finding's action, or ignored.
func (f Finding) Shown() string {
	if f.Ignored != "" {
		return "ignored"
	}
	return strings.ToLower(string(f.Action))
}

// Place returns where the object is: its file with its template, or its cluster.
func (f Finding) Place() string {
	if f.Position.Template != "" {
		return f.Position.File + " (from " + f.Position.Template + ")"
	}
	return cmp.Or(f.Source, f.Position.File, f.Cluster)
}

// byObject groups the findings by object: those in files in the order of the first finding, those of a cluster with the strictest
// and most severe first.
func (r Report) byObject() [][]Finding {
	type key struct{ cluster, file, object string }
	at := map[key]int{}
	var groups [][]Finding
	for _, f := range r.Findings {
		k := key{f.Cluster, cmp.Or(f.Source, f.Position.File), f.Object.APIVersion + f.Object.String()}
		i, seen := at[k]
		if !seen {
			i = len(groups)
			at[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	if r.Clusters == nil {
		return groups
	}
	worse := func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(b.Action), rank(a.Action)), cmp.Compare(b.Severity.Rank(), a.Severity.Rank()))
	}
	for _, group := range groups {
		slices.SortStableFunc(group, worse)
	}
	slices.SortStableFunc(groups, func(a, b []Finding) int { return worse(a[0], b[0]) })
	return groups
}

// checkRow sums up a check.
type checkRow struct {
	ID       string
	Severity policies.Severity
	bar
	Objects int
}

// checks returns a row for each check, the one with the most denials first.
func (r Report) checks() []checkRow {
	objects, severity := map[string]map[string]bool{}, map[string]policies.Severity{}
	for _, f := range r.Findings {
		if f.Ignored != "" {
			continue
		}
		if objects[f.ID()] == nil {
			objects[f.ID()] = map[string]bool{}
		}
		objects[f.ID()][f.Cluster+"\x00"+cmp.Or(f.Source, f.Position.File)+"\x00"+f.Object.String()] = true
		severity[f.ID()] = f.Severity
	}
	var rows []checkRow
	for _, b := range r.chart(Finding.ID) {
		rows = append(rows, checkRow{b.Name, severity[b.Name], b, len(objects[b.Name])})
	}
	slices.SortStableFunc(rows, func(a, b checkRow) int {
		return cmp.Or(cmp.Compare(b.Deny, a.Deny), cmp.Compare(b.Warn, a.Warn), cmp.Compare(b.Severity.Rank(), a.Severity.Rank()))
	})
	return rows
}

// Title returns the heading with the date.
func (r Report) Title() string {
	if date := r.Date(); date != "" {
		return r.Heading() + ", " + date
	}
	return r.Heading()
}

// Heading says what the report is about.
func (r Report) Heading() string {
	heading := words.Capital(cmp.Or(r.Command, "report"))
	if r.Subject != "" {
		heading += " of " + r.Subject
	}
	return heading
}

// Date returns when the report was made, if known.
func (r Report) Date() string {
	if r.Time.IsZero() {
		return ""
	}
	return r.Time.UTC().Format("2006-01-02 15:04 MST")
}

// Summary returns the report in one sentence.
func (r Report) Summary() string {
	if r.Replay != nil {
		return r.Replay.summary()
	}
	judged := fmt.Sprintf("%s judged, %s among them", words.Plural(r.Objects, "object"), words.Plural(r.StatefulSets, "StatefulSet"))
	if r.Partial > 0 {
		judged += fmt.Sprintf(", %s skipped as incomplete", words.Plural(r.Partial, "StatefulSet"))
	}
	if n := len(r.Clusters); n > 1 {
		judged += fmt.Sprintf(", in %d clusters", n)
	}
	if len(r.Errors) > 0 {
		judged += fmt.Sprintf("; %s could not be judged", words.Plural(len(r.Errors), "input"))
	}
	found := fmt.Sprintf("%d denied, %d warned, %d audited", r.Count(v1alpha1.Deny), r.Count(v1alpha1.Warn), r.Count(v1alpha1.Audit))
	if n := r.Ignored(); n > 0 {
		found += fmt.Sprintf(", %d ignored", n)
	}
	if r.Known+r.Gone > 0 {
		judged += fmt.Sprintf("; %s of the baseline not listed, %d gone", words.Plural(r.Known, "finding"), r.Gone)
	}
	return found + ": " + judged + "."
}
