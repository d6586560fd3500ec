// Package report writes findings in formats for people and tools.
package report

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

// Report is the result of a check, audit or replay. Every format is a function of it.
type Report struct {
	// Command is the command that made the report: check, audit or replay.
	Command string
	// Subject describes what was judged: the paths of a check, the context of an audit.
	Subject string
	// Time is when the report was made.
	Time time.Time
	// Clusters are the contexts of an audit, including those that could not be read.
	Clusters []string
	// Limit is the number of findings that the text lists; 0 means all. All are counted.
	Limit int
	// Version is the version of Mooring, for formats that name their tool.
	Version  string
	Findings []Finding
	// Errors are inputs that could not be judged. Findings has the rest.
	Errors []Error
	// Objects and StatefulSets count what was judged.
	Objects, StatefulSets int
	// Known counts the findings that a baseline removed, Gone the baseline's findings that no longer exist.
	Known, Gone int
	// Partial counts the skipped objects that are only part of one.
	Partial int
	// Root is the path of the current folder in its repository, for formats with paths from the repository's root.
	Root string
	// Inventory lists the StatefulSets of a live cluster. A check has none.
	Inventory []Workload
	// FailOn is the laxest action that fails the run. Empty means Deny, Off means none.
	FailOn v1alpha1.Action
	// Candidate is the report on the same objects under a stricter profile, which its Subject names. It is nil without one.
	Candidate *Report
	// Replay is what a recorded audit log has besides findings. It is nil for a check and an audit.
	Replay *Replay
}

// Finding is a finding with the place to fix it.
type Finding struct {
	policies.Finding
	// Cluster is the kubeconfig context of a live object, "" for a file.
	Cluster  string
	Position Position
	// Source is the file of the object, if Position is in another file.
	Source string
	// Lines are the lines around the field at fault, to quote.
	Lines []Line
	// Renderings are the overlays, or the charts with their values, that have this finding at the same place.
	Renderings []string
	// Ignored is the reason in the object's annotation that ignores the finding.
	Ignored string
	// Request is the request that the finding of a replay is about. Position is then its place in the log.
	Request *Request
}

// Position is a place in a manifest. The zero value means that the object is in no file.
type Position struct {
	// File is the path as named on the command line, or below a named folder.
	File string
	// Line and Column, from 1, are the place of the field at fault, or of its parent if the field is missing.
	Line, Column int
	// Template is the path in the chart of the template that rendered the object, if any.
	Template string
}

// Line is a line of a manifest.
type Line struct {
	Number int
	Text   string
	// Offending marks the line of the finding.
	Offending bool
}

// Error is an input that could not be read or judged.
type Error struct {
	Position Position
	Message  string
	// Cluster is the kubeconfig context of the error, if any.
	Cluster string
	// Renderings are the overlays, or the charts with their values, that cannot be judged because of it, if they are not its file.
	Renderings []string
}

// String returns the error on one line, its place first.
func (e Error) String() string {
	return strings.TrimPrefix(cmp.Or(e.Position.String(), e.Cluster)+": "+oneLine(e.text()), ": ")
}

// text returns the error without its place.
func (e Error) text() string {
	if len(e.Renderings) == 0 {
		return e.Message
	}
	return e.Message + " (in " + renderings(e.Renderings) + ")"
}

// Workload is a StatefulSet of a live cluster with its claims.
type Workload struct {
	Cluster, Namespace, Name string
	// Replicas is the desired number, Ready the ready ones.
	Replicas, Ready int32
	// Claims counts its claims, Bytes is their total size.
	Claims int
	Bytes  int64
	// WhenDeleted and WhenScaled are its retention policy.
	WhenDeleted, WhenScaled string
	// Profile is the profile of its namespace. Protected reports whether it has the protect label.
	Profile   string
	Protected bool
}

// Add adds the result of another run, such as that of another cluster.
func (r *Report) Add(other Report) {
	r.Findings = append(r.Findings, other.Findings...)
	r.Errors = append(r.Errors, other.Errors...)
	r.Inventory = append(r.Inventory, other.Inventory...)
	r.Objects += other.Objects
	r.StatefulSets += other.StatefulSets
	if other.Candidate != nil {
		if r.Candidate == nil {
			r.Candidate = &Report{Subject: other.Candidate.Subject}
		}
		r.Candidate.Add(*other.Candidate)
	}
}

// Failed reports whether any finding fails the run. Errors are for the caller to handle.
func (r Report) Failed() bool { return slices.ContainsFunc(r.Findings, r.Fails) }

// Fails reports whether the finding fails the run.
func (r Report) Fails(f Finding) bool {
	return r.FailOn != v1alpha1.Off && f.Ignored == "" && rank(f.Action) >= rank(cmp.Or(r.FailOn, v1alpha1.Deny))
}

// actions are the possible actions of a finding, the laxest first.
var actions = []v1alpha1.Action{v1alpha1.Audit, v1alpha1.Warn, v1alpha1.Deny}

// rank orders actions: the stricter, the higher.
func rank(action v1alpha1.Action) int { return slices.Index(actions, action) }

// Count returns the number of findings with the action, without ignored ones.
func (r Report) Count(action v1alpha1.Action) int {
	return r.count(func(f Finding) bool { return f.Action == action && f.Ignored == "" })
}

// total returns the number of findings, or requests of a replay, with the action.
func (r Report) total(action v1alpha1.Action) int {
	if r.Replay == nil {
		return r.Count(action)
	}
	return map[v1alpha1.Action]int{v1alpha1.Deny: r.Replay.Denied, v1alpha1.Warn: r.Replay.Warned, v1alpha1.Audit: r.Replay.Audited}[action]
}

// Ignored returns the number of ignored findings.
func (r Report) Ignored() int {
	return r.count(func(f Finding) bool { return f.Ignored != "" })
}

func (r Report) count(counts func(Finding) bool) int {
	n := 0
	for _, f := range r.Findings {
		if counts(f) {
			n++
		}
	}
	return n
}

// Distinct merges findings that are the same fact: in several renderings of one place, whatever the object's name, or in several
// environments that share the file.
func Distinct(findings []Finding) []Finding {
	type fact struct {
		at                Position
		id, kind, path    string
		message, ignored  string
		namespace, object string
		action            v1alpha1.Action
	}
	as := map[fact][]int{}
	var distinct []Finding
	for _, f := range findings {
		is := fact{at: f.Position, id: f.ID(), kind: f.Object.Kind, path: f.Path, message: f.Message, ignored: f.Ignored, action: f.Action}
		if len(f.Renderings) == 0 {
			is.namespace, is.object = f.Object.Namespace, f.Object.Name
		} else {
			is.message = strings.ReplaceAll(is.message, f.Object.Name, "")
		}
		same := slices.IndexFunc(as[is], func(i int) bool {
			first := distinct[i]
			// A rendering can have several objects from one place.
			return first.Object.Name == f.Object.Name || !slices.ContainsFunc(f.Renderings, func(r string) bool { return slices.Contains(first.Renderings, r) })
		})
		if same < 0 {
			as[is] = append(as[is], len(distinct))
			distinct = append(distinct, f)
			continue
		}
		first := &distinct[as[is][same]]
		first.Renderings = append(slices.Clone(first.Renderings), f.Renderings...)
		slices.Sort(first.Renderings)
		first.Renderings = slices.Compact(first.Renderings)
	}
	return distinct
}

// rendered names the renderings with the finding, if there are several.
func (f Finding) rendered() string {
	if len(f.Renderings) < 2 {
		return ""
	}
	return "in " + renderings(f.Renderings)
}

// renderings counts overlays, or charts with their values, and names the first ones.
func renderings(all []string) string {
	what := "overlay"
	if slices.ContainsFunc(all, func(r string) bool { return strings.Contains(r, " with ") }) {
		what = "rendering"
	}
	return words.Plural(len(all), what) + ": " + words.List(all)
}

// inRepository returns the path of a file from the root of its repository, if the report knows it.
func (r Report) inRepository(file string) string {
	if file == "" || file == "stdin" {
		return file
	}
	if filepath.IsAbs(file) {
		here, err := os.Getwd()
		if err != nil {
			return file
		}
		below, err := filepath.Rel(here, file)
		if err != nil || !filepath.IsLocal(filepath.Join(r.Root, below)) {
			return file
		}
		file = below
	}
	return filepath.ToSlash(filepath.Join(r.Root, file))
}
