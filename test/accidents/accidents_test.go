package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/rules"
)

// TestAccidents runs both tables on a real control plane. It fails if an accident gets through, if an operation is refused, or if
// docs/measurements/accidents.md is out of date.
func TestAccidents(t *testing.T) {
	happened, operated, err := Run(t.Context(), Accidents, Operations, atOnce, func(string, string, error) {})
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range Accidents {
		t.Run(a.Name, func(t *testing.T) {
			if err := happened[i].Err; err != nil {
				t.Error(err)
			}
		})
	}
	for i, o := range Operations {
		t.Run(o.Name, func(t *testing.T) {
			if err := operated[i].Err; err != nil {
				t.Error(err)
			}
		})
	}
	if t.Failed() {
		return
	}
	page, err := os.ReadFile("../../docs/measurements/accidents.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), markdown(Accidents, happened, Operations, operated)); diff != "" {
		t.Errorf("docs/measurements/accidents.md is stale; run make accidents (-want +got):\n%s", diff)
	}
}

// TestTables checks that the tables are large enough, and that each rule that refuses deletes or updates has an accident.
func TestTables(t *testing.T) {
	const least = 40
	if len(Accidents) < least || len(Operations) < least {
		t.Errorf("there are %d accidents and %d operations, want %d of each", len(Accidents), len(Operations), least)
	}
	names := map[string]bool{}
	for _, a := range Accidents {
		names[a.Name] = true
		if a.Lost == a.Left {
			t.Errorf("%s: nothing is lost without Mooring that is not lost with it", a.Name)
		}
		for id := range strings.SplitSeq(a.By, " or ") {
			rule, check, _ := strings.Cut(id, "/")
			known, ok := policies.Find(rules.All, rule)
			if !ok || !slices.ContainsFunc(known.Checks, func(c policies.Check) bool { return c.Name == check }) {
				t.Errorf("%s: there is no check %s", a.Name, id)
			}
		}
	}
	for _, o := range Operations {
		names[o.Name] = true
	}
	if len(names) != len(Accidents)+len(Operations) {
		t.Error("two have the same name")
	}
	restricted, err := profiles.Load("restricted")
	if err != nil {
		t.Fatal(err)
	}
	denies := policies.Denies(rules.All, restricted)
	for _, a := range Accidents {
		for id := range strings.SplitSeq(a.By, " or ") {
			if rule, _, _ := strings.Cut(id, "/"); !slices.Contains(denies, rule) {
				t.Errorf("%s: restricted does not deny %s", a.Name, rule)
			}
		}
	}
	for _, id := range denies {
		switch id {
		case "readiness":
			// A missing probe shows in the next failed rollout, which needs containers.
			continue
		case "immutable-fields":
			// The API server refuses these changes itself: the rule is for files.
			continue
		case "unknown-field":
			// A request does not have such a field.
			continue
		}
		if !slices.ContainsFunc(Accidents, func(a Accident) bool { return strings.Contains(a.By, id+"/") }) {
			t.Errorf("no accident shows what %s is for", id)
		}
	}
}
