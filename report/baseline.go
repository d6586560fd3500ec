package report

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Baseline has known findings, so that only new ones fail.
type Baseline struct{ known map[string][]v1alpha1.Action }

// ReadBaseline reads the output of -o json.
func ReadBaseline(from io.Reader) (Baseline, error) {
	var d document
	if err := json.NewDecoder(from).Decode(&d); err != nil {
		return Baseline{}, fmt.Errorf("it is not a report of mooring check -o json: %w", err)
	}
	if d.Version != documentVersion {
		return Baseline{}, fmt.Errorf("it has version %q, and this Mooring reads version %q. Fix: write it again with --write-baseline", d.Version, documentVersion)
	}
	b := Baseline{known: map[string][]v1alpha1.Action{}}
	for _, e := range d.Findings {
		if e.Ignored != "" {
			continue
		}
		f := Finding{Cluster: e.Cluster, Position: Position{File: e.File}, Renderings: e.Renderings, Finding: policies.Finding{
			Rule: e.Rule, Check: e.Check, Path: e.Path, Object: policies.Ref(e.Object), Action: v1alpha1.Action(e.Action),
		}}
		b.known[f.fact()] = append(b.known[f.fact()], f.Action)
	}
	return b, nil
}

// Subtract removes the baseline's findings from the report unless they have become stricter. It counts them, and the baseline's
// findings that no longer exist.
func (r *Report) Subtract(b Baseline) {
	left := map[string][]v1alpha1.Action{}
	for fact, actions := range b.known {
		left[fact] = slices.Clone(actions)
		r.Gone += len(actions)
	}
	r.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool {
		if f.Ignored != "" {
			return false
		}
		actions := left[f.fact()]
		i := slices.IndexFunc(actions, func(known v1alpha1.Action) bool { return !f.Action.Stricter(known) })
		if i < 0 {
			return false
		}
		left[f.fact()] = slices.Delete(actions, i, i+1)
		r.Known++
		r.Gone--
		return true
	})
}

// fact identifies a finding by check and place in the object, without line and message, so that it stays the same when lines move.
// Overlays name and place a shared object differently, so for a rendered one only its kind counts.
func (f Finding) fact() string {
	namespace, name := f.Object.Namespace, f.Object.Name
	if len(f.Renderings) > 0 {
		namespace, name = "", ""
	}
	what, _ := json.Marshal([]string{
		f.ID(), f.Path, f.Cluster, filepath.ToSlash(f.Position.File), f.Object.GroupKind().String(), namespace, name,
	})
	return string(what)
}
