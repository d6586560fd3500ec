package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// paint colours words for a terminal, or leaves them as they are.
type paint bool

// painted tells whether w wants colour: a terminal that can show it, of a person who did not say no. See no-color.org.
func painted(w io.Writer) paint {
	file, ok := w.(*os.File)
	return paint(ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd())))
}

// in puts s into the colour of that code, on one line.
func (p paint) in(code, s string) string {
	s = oneLine(s)
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Bold returns what makes words bold on a terminal, and leaves them as they are elsewhere.
func Bold(w io.Writer) func(string) string { return painted(w).bold }

func (p paint) bold(s string) string { return p.in("1", s) }
func (p paint) dim(s string) string  { return p.in("2", s) }

// action writes an action in its colour.
func (p paint) action(a v1alpha1.Action) string {
	codes := map[v1alpha1.Action]string{v1alpha1.Deny: "1;31", v1alpha1.Warn: "1;33", v1alpha1.Audit: "1;36"}
	return p.in(codes[a], strings.ToLower(string(a)))
}

func writeText(w io.Writer, r Report) error {
	b := bufio.NewWriter(w)
	text{b, painted(w)}.report(r)
	return b.Flush()
}

// text writes a report for people. Errors of w are kept by the buffered writer until it is flushed.
type text struct {
	*bufio.Writer
	paint
}

func (t text) report(r Report) {
	for _, group := range r.byObject() {
		first := group[0]
		t.line("", t.bold(first.Object.String()), t.dim(first.Place()))
		for _, f := range group {
			t.finding(f)
		}
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

func (t text) finding(f Finding) {
	t.line("  ", t.action(f.Action), t.bold(f.ID()), t.dim(cmp.Or(f.Position.String(), f.Path)))
	if f.Request != nil {
		t.request(*f.Request)
	}
	t.line("    ", oneLine(f.Message))
	t.quote(f.Lines)
	if f.Remedy != "" {
		t.line("    ", t.bold("To fix:"), oneLine(f.Remedy))
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

// line writes the words that are not empty after the indent, and a line's end.
func (t text) line(indent string, words ...string) {
	said := ""
	for _, word := range words {
		if word != "" {
			said += " " + word
		}
	}
	t.WriteString(strings.TrimRight(indent+strings.TrimPrefix(said, " "), " ") + "\n")
}

// oneLine keeps what others wrote from breaking out of its line or from commanding the terminal.
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

// Place is where a reader finds the object: its file, with the template that it was rendered from, or its cluster.
func (f Finding) Place() string {
	if f.Position.Template != "" {
		return f.Position.File + " (from " + f.Position.Template + ")"
	}
	return cmp.Or(f.Position.File, f.Cluster)
}

// byObject returns the findings in groups of one object each, in the order of their first.
func (r Report) byObject() [][]Finding {
	type key struct{ cluster, file, object string }
	at := map[key]int{}
	var groups [][]Finding
	for _, f := range r.Findings {
		k := key{f.Cluster, f.Position.File, f.Object.APIVersion + f.Object.String()}
		i, seen := at[k]
		if !seen {
			i = len(groups)
			at[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// Summary is the report in one sentence.
func (r Report) Summary() string {
	judged := fmt.Sprintf("%s judged, %s among them", plural(r.Objects, "object"), plural(r.StatefulSets, "StatefulSet"))
	if r.Partial > 0 {
		judged += fmt.Sprintf(", %s passed over for being only part of one", plural(r.Partial, "StatefulSet"))
	}
	if len(r.Errors) > 0 {
		judged += fmt.Sprintf("; %s could not be", plural(len(r.Errors), "input"))
	}
	return fmt.Sprintf("%d denied, %d warned, %d audited: %s.",
		r.Count(v1alpha1.Deny), r.Count(v1alpha1.Warn), r.Count(v1alpha1.Audit), judged)
}

func plural[N int | int32](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
