package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Format is an output format for an R.
type Format[R any] struct {
	// Name is the value of -o.
	Name string
	// Doc describes the format in a few words.
	Doc   string
	write func(io.Writer, R) error
}

// Formats are the formats of a report, the default first. The output does not depend on the order of the findings.
var Formats = []Format[Report]{
	{"text", "for people: grouped by object, with the lines of the manifest and the remedy", sorted(writeText)},
	{"json", "for scripts: every finding, and a summary", sorted(writeJSON)},
	{"sarif", "for code scanning: SARIF 2.1.0", sorted(writeSARIF)},
	{"junit", "for test reports: a suite for each file or namespace, a case for each finding", sorted(writeJUnit)},
	{"github", "for GitHub Actions: workflow commands that annotate the lines of a pull request", sorted(writeGitHub)},
	{"html", "for people: a page to browse, keep or print", sorted(writeHTML)},
	{"policyreport", "for clusters: policy reports in YAML, one for each namespace", sorted(writePolicyReport)},
}

// sorted sorts the findings by file or object before it writes them.
func sorted(write func(io.Writer, Report) error) func(io.Writer, Report) error {
	return func(w io.Writer, r Report) error { return write(w, r.sorted()) }
}

// Write writes the report to w.
func (f Format[R]) Write(w io.Writer, r R) error { return f.write(w, r) }

// sorted returns the report with its findings sorted by file or object.
func (r Report) sorted() Report {
	r.Findings = slices.SortedStableFunc(slices.Values(r.Findings), func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Cluster, b.Cluster),
			a.Position.compare(b.Position),
			cmp.Compare(a.Object.Namespace, b.Object.Namespace), cmp.Compare(a.Object.Kind, b.Object.Kind), cmp.Compare(a.Object.Name, b.Object.Name),
			cmp.Compare(a.ID(), b.ID()), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message),
		)
	})
	r.Errors = slices.SortedStableFunc(slices.Values(r.Errors), func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), a.Position.compare(b.Position), cmp.Compare(a.Message, b.Message))
	})
	r.Inventory = slices.SortedStableFunc(slices.Values(r.Inventory), func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	if r.Candidate != nil {
		candidate := r.Candidate.sorted()
		r.Candidate = &candidate
	}
	return r
}

func (p Position) compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column), cmp.Compare(p.Template, q.Template))
}

// String returns file:line:column, as editors and terminals understand it, or "" without a file.
func (p Position) String() string {
	at := p.File
	if p.Line > 0 {
		at += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			at += fmt.Sprintf(":%d", p.Column)
		}
	}
	return at
}
