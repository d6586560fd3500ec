package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/words"
)

// Tests are the results of test files.
type Tests struct {
	// Cases are the results in the order of play.
	Cases []TestCase
	// Errors are test files that could not be read, and cases that could not be played.
	Errors []Error
}

// TestCase is the result of a case.
type TestCase struct {
	Name     string
	Position Position
	// Findings are the policies' findings.
	Findings []policies.Finding
	// Wrong lists the differences from what the case wants, empty if it passes.
	Wrong []string
}

// Failed returns the number of failed cases.
func (t Tests) Failed() int {
	n := 0
	for _, c := range t.Cases {
		if len(c.Wrong) > 0 {
			n++
		}
	}
	return n
}

// Summary returns the result on one line.
func (t Tests) Summary() string {
	said := fmt.Sprintf("%d passed, %d failed", len(t.Cases)-t.Failed(), t.Failed())
	if len(t.Errors) > 0 {
		said += fmt.Sprintf("; %s", words.Plural(len(t.Errors), "error"))
	}
	return said
}

// TestFormats are the output formats of test results.
var TestFormats = []Format[Tests]{
	{"text", "for people: what failed, and a line for each file", writeTestsText},
	{"json", "for scripts: every case", writeTestsJSON},
	{"junit", "for test reports: a suite for each file", writeTestsJUnit},
	{"github", "for GitHub Actions: workflow commands that annotate the cases that failed", writeTestsGitHub},
}

// byFile groups the cases by file, in their order.
func (t Tests) byFile() [][]TestCase {
	var groups [][]TestCase
	for _, c := range t.Cases {
		if n := len(groups); n == 0 || groups[n-1][0].Position.File != c.Position.File {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], c)
	}
	return groups
}

func writeTestsText(w io.Writer, t Tests) error {
	b := text{bufio.NewWriter(w), painted(w)}
	for _, group := range t.byFile() {
		failed := Tests{Cases: group}.Failed()
		for _, c := range group {
			if len(c.Wrong) == 0 {
				continue
			}
			b.line("", b.in("1;31", "FAIL"), b.dim(c.Position.String()), b.bold(c.Name))
			for _, wrong := range c.Wrong {
				b.line("     ", oneLine(wrong))
			}
		}
		if failed == 0 {
			b.line("", b.in("1;32", "ok"), "  "+oneLine(group[0].Position.File)+":", words.Plural(len(group), "case"))
		}
	}
	for _, e := range t.Errors {
		b.line("", b.in("1;31", "error"), e.String())
	}
	b.line("", t.Summary())
	return b.Flush()
}

// documentTests are the results in JSON. docs/test.md promises its fields.
type documentTests struct {
	Version string             `json:"version"`
	Cases   []documentTestCase `json:"cases"`
	Errors  []documentError    `json:"errors,omitempty"`
	Passed  int                `json:"passed"`
	Failed  int                `json:"failed"`
}

type documentTestCase struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	documentPosition
	Wrong    []string              `json:"wrong,omitempty"`
	Findings []documentTestFinding `json:"findings"`
}

type documentTestFinding struct {
	Rule    string `json:"rule"`
	Check   string `json:"check"`
	Action  string `json:"action"`
	Policy  string `json:"policy"`
	Message string `json:"message"`
}

func writeTestsJSON(w io.Writer, t Tests) error {
	d := documentTests{Version: documentVersion, Cases: []documentTestCase{}, Failed: t.Failed(), Passed: len(t.Cases) - t.Failed()}
	for _, c := range t.Cases {
		one := documentTestCase{Name: c.Name, Passed: len(c.Wrong) == 0, documentPosition: placeOf(c.Position), Wrong: c.Wrong, Findings: []documentTestFinding{}}
		for _, f := range c.Findings {
			one.Findings = append(one.Findings, documentTestFinding{f.Rule, f.Check, string(f.Action), f.Policy, f.Message})
		}
		d.Cases = append(d.Cases, one)
	}
	for _, e := range t.Errors {
		d.Errors = append(d.Errors, documentError{e.Message, e.Cluster, placeOf(e.Position), nil})
	}
	return indentedJSON(w, d)
}

func writeTestsJUnit(w io.Writer, t Tests) error {
	all := junitSuites{Name: "mooring test"}
	for _, c := range t.Cases {
		one := junitCase{Class: c.Position.File, Name: c.Name, File: c.Position.File, Line: c.Position.Line}
		if len(c.Wrong) > 0 {
			one.Failure = &junitProblem{c.Wrong[0], "not as wanted", strings.Join(c.Wrong, "\n")}
		}
		all.add(c.Position.File, one)
	}
	for _, e := range t.Errors {
		all.unjudged(e)
	}
	return all.write(w)
}

func writeTestsGitHub(w io.Writer, t Tests) error {
	b := bufio.NewWriter(w)
	for _, c := range t.Cases {
		if len(c.Wrong) > 0 {
			command(b, "error", c.Position, c.Name, strings.Join(c.Wrong, "\n"))
		}
	}
	for _, e := range t.Errors {
		command(b, "error", e.Position, "not played", e.Message)
	}
	fmt.Fprintln(b, t.Summary())
	return b.Flush()
}
