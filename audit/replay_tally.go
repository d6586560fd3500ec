package audit

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

// groupings are the properties that a replay is summed up by, in the order in which they are shown.
var groupings = []string{"rule", "user", "tool", "namespace"}

// tally counts requests. It grows with the number of users, tools and namespaces, and not with that of requests.
type tally struct {
	groups                  map[string]map[string]*report.Row
	reasons                 map[string]int
	denied, warned, changed int
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

// outcome is what would have become of a request.
type outcome struct{ denied, warned, changed bool }

// count adds a request with what was found about it.
func (t *tally) count(about *report.Request, findings []policies.Finding, filled []policies.FilledField) {
	rules := map[string]*outcome{}
	of := func(rule string) *outcome {
		if rules[rule] == nil {
			rules[rule] = &outcome{}
		}
		return rules[rule]
	}
	for _, f := range findings {
		of(f.Rule).denied = of(f.Rule).denied || f.Action == v1alpha1.Deny
		of(f.Rule).warned = of(f.Rule).warned || f.Action != v1alpha1.Deny
	}
	for _, f := range filled {
		of(f.Rule).changed = true
	}
	if len(rules) == 0 {
		return
	}
	var all outcome
	for rule, o := range rules {
		all.denied, all.warned, all.changed = all.denied || o.denied, all.warned || o.warned, all.changed || o.changed
		t.add("rule", rule, about, *o)
	}
	for by, name := range map[string]string{"user": about.User, "tool": tool(about.UserAgent), "namespace": about.Namespace} {
		t.add(by, name, about, all)
	}
	sum(all, &t.denied, &t.warned, &t.changed)
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
	sum(o, &row.Denied, &row.Warned, &row.Changed)
}

// sum counts a request once for each thing that becomes of it; a denied one is not warned about besides.
func sum(o outcome, denied, warned, changed *int) {
	switch {
	case o.denied:
		*denied++
	case o.warned:
		*warned++
	}
	if o.changed {
		*changed++
	}
}

// tool is the program that a user agent names first, without its version.
func tool(userAgent string) string {
	name, _, _ := strings.Cut(userAgent, "/")
	return name
}

// into writes the counts down, the most denied first.
func (t *tally) into(r *report.Replay) {
	r.Denied, r.Warned, r.Changed = t.denied, t.warned, t.changed
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
