// Package report writes down what the rules found, for people and for tools, and what the rules themselves say.
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

// Report is what one run of check, audit or replay found. Every format is a function of it.
type Report struct {
	// Command is what made the report: check, audit or replay.
	Command string
	// Subject says in a few words what was judged: the paths of a check, the context of an audit.
	Subject string
	// Time is when it was made.
	Time time.Time
	// Clusters are the contexts of an audit, those too that could not be read.
	Clusters []string
	// Limit is how many findings the text lists; 0 for all. All are counted.
	Limit int
	// Version is that of Mooring, for formats that name their tool.
	Version  string
	Findings []Finding
	// Errors are inputs that could not be judged. What could be is in Findings all the same.
	Errors []Error
	// Objects and StatefulSets count what was judged.
	Objects, StatefulSets int
	// Known counts the findings that a baseline has taken out, Gone those of the baseline that are not found any more.
	Known, Gone int
	// Partial counts objects that are only part of one, and were passed over.
	Partial int
	// Root is the path of this folder below the root of its repository, for formats whose readers know files by that.
	Root string
	// Inventory lists the StatefulSets of a live cluster; a check has none.
	Inventory []Workload
	// FailOn is the laxest action that fails the run; empty stands for Deny, and Off for none.
	FailOn v1alpha1.Action
	// Candidate is what the same objects would be told under a stricter profile, nil where nobody asked. Its Subject names
	// the profile.
	Candidate *Report
	// Replay is what a recorded audit log holds besides findings; nil for a check and an audit.
	Replay *Replay
}

// Finding is a finding with the place where it can be put right.
type Finding struct {
	policies.Finding
	// Cluster is the kubeconfig context of a live object; empty for a file.
	Cluster  string
	Position Position
	// Source is the file that the object is in, where Position is in another.
	Source string
	// Lines are those of the file around the offending field, for quoting.
	Lines []Line
	// Renderings are the overlays, or the charts with their values, that the same place leads to this finding in.
	Renderings []string
	// Ignored is the reason that the object's own annotation gives for not minding the finding.
	Ignored string
	// Request is the one that the finding is about, in a replay; Position is then its place in the log.
	Request *Request
}

// Position is a place in a manifest. The zero value stands for an object that is in no file.
type Position struct {
	// File as it was named on the command line, or below a folder that was.
	File string
	// Line and Column, counted from 1, of the offending field or of its parent where the field is missing.
	Line, Column int
	// Template is the path within the chart that the object was rendered from, where there is one.
	Template string
}

// Line is one line of a manifest.
type Line struct {
	Number int
	Text   string
	// Offending marks the line that the finding is about.
	Offending bool
}

// Error is an input that could not be read or judged.
type Error struct {
	Position Position
	Message  string
	// Cluster is the kubeconfig context that it is about, if any.
	Cluster string
	// Renderings are the overlays, or the charts with their values, that cannot be judged for it, where these are others than its file.
	Renderings []string
}

// String is the error on one line, its place first.
func (e Error) String() string {
	return strings.TrimPrefix(cmp.Or(e.Position.String(), e.Cluster)+": "+oneLine(e.text()), ": ")
}

// text is the error without its place.
func (e Error) text() string {
	if len(e.Renderings) == 0 {
		return e.Message
	}
	return e.Message + " (in " + renderings(e.Renderings) + ")"
}

// Workload is one StatefulSet of a live cluster and what it holds.
type Workload struct {
	Cluster, Namespace, Name string
	// Replicas are those wanted, Ready those ready.
	Replicas, Ready int32
	// Claims counts its claims, Bytes adds up what they ask for.
	Claims int
	Bytes  int64
	// WhenDeleted and WhenScaled are its retention policy.
	WhenDeleted, WhenScaled string
	// Profile of its namespace, and whether it is labelled against deletes.
	Profile   string
	Protected bool
}

// Add adds what another run found, such as that of another cluster.
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

// Failed tells whether any finding is one that fails the run. What could not be judged is for the caller to answer for.
func (r Report) Failed() bool { return slices.ContainsFunc(r.Findings, r.Fails) }

// Fails tells whether the finding is one that fails the run.
func (r Report) Fails(f Finding) bool {
	return r.FailOn != v1alpha1.Off && f.Ignored == "" && rank(f.Action) >= rank(cmp.Or(r.FailOn, v1alpha1.Deny))
}

// actions are those that a finding can have, the laxest first.
var actions = []v1alpha1.Action{v1alpha1.Audit, v1alpha1.Warn, v1alpha1.Deny}

// rank is the place of an action among the actions, the higher the stricter.
func rank(action v1alpha1.Action) int { return slices.Index(actions, action) }

// Count returns how many findings have the action, without those that are ignored.
func (r Report) Count(action v1alpha1.Action) int {
	return r.count(func(f Finding) bool { return f.Action == action && f.Ignored == "" })
}

// total is what the report counts with the action: findings, or the requests of a replay.
func (r Report) total(action v1alpha1.Action) int {
	if r.Replay == nil {
		return r.Count(action)
	}
	return map[v1alpha1.Action]int{v1alpha1.Deny: r.Replay.Denied, v1alpha1.Warn: r.Replay.Warned, v1alpha1.Audit: r.Replay.Audited}[action]
}

// Ignored counts the findings that are ignored.
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

// Distinct makes one finding of what is the same fact: several renderings of one place have it, whatever they call the object, or
// several environments share its file.
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
			// One rendering may have several objects of one place.
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

// rendered says in how many renderings the finding is, if in several.
func (f Finding) rendered() string {
	if len(f.Renderings) < 2 {
		return ""
	}
	return "in " + renderings(f.Renderings)
}

// renderings counts overlays, or charts with their values, and names the first of them.
func renderings(all []string) string {
	what := "overlay"
	if slices.ContainsFunc(all, func(r string) bool { return strings.Contains(r, " with ") }) {
		what = "rendering"
	}
	return words.Plural(len(all), what) + ": " + words.List(all)
}

// inRepository is the path of a file below the root of its repository, as far as the report knows that.
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
