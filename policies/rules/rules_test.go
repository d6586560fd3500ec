package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
)

// TestCases judges each rule's cases with the engine, under the case's policy alone.
func TestCases(t *testing.T) {
	for _, rule := range rules.All {
		for _, c := range casesOf(t, rule) {
			t.Run(rule.ID+"/"+c.Name, func(t *testing.T) {
				result, err := c.Run()
				if err != nil {
					t.Fatal(err)
				}
				for _, wrong := range result.Wrong {
					t.Error(wrong)
				}
				for _, f := range result.Findings {
					t.Log(f)
					if f.Path == "" || f.Remedy == "" || !strings.HasSuffix(f.Message, ".") {
						t.Errorf("finding %s lacks a path, a remedy or a sentence: %+v", f.ID(), f)
					}
				}
			})
		}
	}
}

func TestRulesAreWellFormed(t *testing.T) {
	if !slices.IsSortedFunc(rules.All, func(a, b policies.Rule) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("the rules are not sorted by ID")
	}
	for _, rule := range rules.All {
		t.Run(rule.ID, func(t *testing.T) {
			if found, ok := policies.Find(rules.All, rule.ID); !ok || found.Title != rule.Title {
				t.Error("the ID is not unique")
			}
			passes, names := false, map[string]bool{}
			shown := map[string]bool{}
			for _, c := range casesOf(t, rule) {
				passes = passes || len(c.Want) == 0
				if names[c.Name] {
					t.Errorf("two cases are called %q", c.Name)
				}
				names[c.Name] = true
				for _, w := range c.Want {
					check, _, _ := strings.Cut(w, ":")
					shown[check] = true
				}
			}
			if !passes {
				t.Error("no case shows what passes")
			}
			for _, check := range rule.Checks {
				if !shown[check.Name] {
					t.Errorf("no case shows the check %q", check.Name)
				}
				delete(shown, check.Name)
			}
			for check := range shown {
				t.Errorf("a case wants %q, which is not among the rule's checks", check)
			}
		})
	}
}

func casesOf(t *testing.T, rule policies.Rule) []ruletest.Case {
	t.Helper()
	cases, err := ruletest.Of(rule)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestNormaliseTwice checks that normalising an object of any case again changes nothing.
func TestNormaliseTwice(t *testing.T) {
	for _, rule := range rules.All {
		for _, c := range casesOf(t, rule) {
			play, err := c.Build()
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range append(play.Cluster.Objects, play.Change.Old, play.Change.New) {
				if o == nil {
					continue
				}
				kinds.Normalise(o)
				once := o.DeepCopyObject()
				kinds.Normalise(o)
				if diff := cmp.Diff(once, o); diff != "" {
					t.Errorf("%s, case %q: the second time it changed (-once +twice):\n%s", rule.ID, c.Name, diff)
				}
			}
		}
	}
}
