package replay

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

// groupings are the properties by which a replay is summed up, in the order of display.
var groupings = []string{"rule", "user", "tool", "namespace"}

// tally counts requests. It grows with the number of users, tools and namespaces, not of requests.
type tally struct {
	groups  map[string]map[string]*report.Row
	reasons map[string]int
	sums    report.Outcomes
}

func newTally() *tally {
	t := &tally{groups: map[string]map[string]*report.Row{}, reasons: map[string]int{}}
	for _, by := range groupings {
		t.groups[by] = map[string]*report.Row{}
	}
	return t
}

// unjudged counts a request that could not be judged.
func (t *tally) unjudged(why error) { t.reasons[why.Error()]++ }

// outcome is the outcome of a request.
type outcome struct {
	// action is the strictest action of the findings, empty for none.
	action  v1alpha1.Action
	changed bool
}

// and combines two outcomes of the same request.
func (o outcome) and(other outcome) outcome {
	strictest := slices.IndexFunc([]v1alpha1.Action{v1alpha1.Deny, v1alpha1.Warn, v1alpha1.Audit}, func(a v1alpha1.Action) bool {
		return a == o.action || a == other.action
	})
	if strictest >= 0 {
		o.action = []v1alpha1.Action{v1alpha1.Deny, v1alpha1.Warn, v1alpha1.Audit}[strictest]
	}
	o.changed = o.changed || other.changed
	return o
}

func (o outcome) addTo(sums *report.Outcomes) {
	switch o.action {
	case v1alpha1.Deny:
		sums.Denied++
	case v1alpha1.Warn:
		sums.Warned++
	case v1alpha1.Audit:
		sums.Audited++
	}
	if o.changed {
		sums.Changed++
	}
}

// count adds a request with its findings.
func (t *tally) count(about *report.Request, findings []policies.Finding, filled []policies.FilledField) {
	rules := map[string]outcome{}
	for _, f := range findings {
		rules[f.Rule] = rules[f.Rule].and(outcome{action: f.Action})
	}
	for _, f := range filled {
		rules[f.Rule] = rules[f.Rule].and(outcome{changed: true})
	}
	if len(rules) == 0 {
		return
	}
	var all outcome
	for rule, o := range rules {
		all = all.and(o)
		t.add("rule", rule, about, o)
	}
	t.add("user", about.User, about, all)
	t.add("tool", tool(about.UserAgent), about, all)
	t.add("namespace", about.Namespace, about, all)
	all.addTo(&t.sums)
}

func (t *tally) add(by, name string, about *report.Request, o outcome) {
	row := t.groups[by][name]
	if row == nil {
		row = &report.Row{Name: name, First: about.Time}
		t.groups[by][name] = row
	}
	if about.Time.Before(row.First) {
		row.First = about.Time
	}
	if about.Time.After(row.Last) {
		row.Last = about.Time
	}
	o.addTo(&row.Outcomes)
}

// tool returns the first program in a user agent, without its version.
func tool(userAgent string) string {
	name, _, _ := strings.Cut(userAgent, "/")
	return name
}

// into writes the counts into the report, the most denied first.
func (t *tally) into(r *report.Replay) {
	r.Outcomes = t.sums
	for _, by := range groupings {
		group := report.Group{By: by}
		for _, name := range slices.Sorted(maps.Keys(t.groups[by])) {
			group.Rows = append(group.Rows, *t.groups[by][name])
		}
		slices.SortStableFunc(group.Rows, func(a, b report.Row) int {
			return cmp.Or(cmp.Compare(b.Denied, a.Denied), cmp.Compare(b.Warned, a.Warned), cmp.Compare(b.Changed, a.Changed))
		})
		r.Groups = append(r.Groups, group)
	}
	for _, reason := range sets.List(sets.KeySet(t.reasons)) {
		r.Unjudged = append(r.Unjudged, report.Count{Name: reason, Count: t.reasons[reason]})
	}
	slices.SortStableFunc(r.Unjudged, func(a, b report.Count) int { return cmp.Compare(b.Count, a.Count) })
}
