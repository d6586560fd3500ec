package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// writeGitHub writes workflow commands, which GitHub shows at the lines of a pull request.
func writeGitHub(w io.Writer, r Report) error {
	b := bufio.NewWriter(w)
	commands := map[v1alpha1.Action]string{v1alpha1.Deny: "error", v1alpha1.Warn: "warning", v1alpha1.Audit: "notice"}
	for _, f := range r.Findings {
		if f.Ignored != "" {
			continue
		}
		f.Position.File = r.inRepository(f.Position.File)
		command(b, commands[f.Action], f.Position, f.ID(), f.Object.String()+": "+f.text())
	}
	for _, e := range r.Errors {
		e.Position.File = r.inRepository(e.Position.File)
		command(b, "error", e.Position, "not judged", e.text())
	}
	// A line that begins with two colons would be a command. The summary begins with a number.
	fmt.Fprintln(b, r.Summary())
	return b.Flush()
}

// The escapes are those of GitHub's toolkit.
func command(w io.Writer, name string, at Position, title, message string) {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	properties := []string{"title=" + value.Replace(title)}
	if at.File != "" {
		properties = append(properties, "file="+value.Replace(at.File))
	}
	if at.Line > 0 {
		properties = append(properties, fmt.Sprintf("line=%d", at.Line))
	}
	if at.Column > 0 {
		properties = append(properties, fmt.Sprintf("col=%d", at.Column))
	}
	fmt.Fprintf(w, "::%s %s::%s\n", name, strings.Join(properties, ","), data.Replace(message))
}

// text returns the finding as plain text, for readers that show the rule and the object themselves.
func (f Finding) text() string {
	lines := []string{f.Message}
	if f.Remedy != "" {
		lines = append(lines, "Fix: "+f.Remedy)
	}
	if f.Note != "" {
		lines = append(lines, "("+f.Note+")")
	}
	if in := f.rendered(); in != "" {
		lines = append(lines, "("+in+")")
	}
	if f.Bypassed != "" {
		lines = append(lines, "Bypassed: "+f.Bypassed)
	}
	return strings.Join(lines, "\n")
}
