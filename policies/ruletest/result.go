package ruletest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mooring-dev/mooring/policies"
)

// Result is the result of a case.
type Result struct {
	Case Case
	// Findings are the policies' findings.
	Findings []policies.Finding
	// Wrong lists the differences from what the case wants, empty if it passes.
	Wrong []string
}

// Run plays the case. An error means that it cannot be played.
func (c Case) Run() (Result, error) {
	r := Result{Case: c}
	verdict, err := c.Judge()
	if err != nil {
		return r, err
	}
	r.Findings = verdict.Findings
	filled, err := c.Default()
	if err != nil {
		return r, err
	}
	want := map[string]int{}
	for _, w := range c.Want {
		want[c.short(w)]++
	}
	for _, f := range verdict.Findings {
		brief := c.brief(f)
		if want[brief]--; want[brief] < 0 {
			r.Wrong = append(r.Wrong, fmt.Sprintf("unexpected finding: %s: %s", brief, f.Message))
		}
	}
	for _, w := range slices.Sorted(maps.Keys(want)) {
		for range want[w] {
			r.Wrong = append(r.Wrong, "missing finding: "+w)
		}
	}
	return r, r.compare(filled)
}

// short returns a wanted finding in the form of brief.
func (c Case) short(want string) string {
	if c.file.Rule != "" {
		want = strings.TrimPrefix(want, c.file.Rule+"/")
	}
	return strings.TrimSuffix(want, ":Deny")
}

// compare reports defaults that the case does not want, and wanted ones that are not set.
func (r *Result) compare(filled policies.Filled) error {
	got := map[string]string{}
	for _, f := range filled.Fields {
		value, err := json.Marshal(f.Value)
		if err != nil {
			return err
		}
		got[f.Path] = string(value)
	}
	want := map[string]string{}
	for path, v := range r.Case.Patch {
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		want[path] = string(value)
	}
	all := maps.Clone(got)
	maps.Copy(all, want)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if got[path] != want[path] {
			r.Wrong = append(r.Wrong, fmt.Sprintf("patch %s: got %s, want %s", path, cmp.Or(got[path], "nothing"), cmp.Or(want[path], "nothing")))
		}
	}
	return nil
}
