package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// TestCases runs every rule's cases through the engine, alone under the case's policy.
func TestCases(t *testing.T) {
	for _, rule := range Rules {
		for _, c := range rule.Cases {
			t.Run(rule.ID+"/"+c.Name, func(t *testing.T) {
				verdict, err := c.Judge(rule)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.Want, briefly(verdict)); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
				filled, err := c.Default(rule)
				if err != nil {
					t.Fatal(err)
				}
				var values []string
				for _, f := range filled.Fields {
					values = append(values, fmt.Sprint(f.Value))
				}
				if got := strings.Join(values, ","); got != c.Fills {
					t.Errorf("filled in %q, want %q", got, c.Fills)
				}
				for _, f := range verdict.Findings {
					t.Log(f)
					if f.Path == "" || f.Remedy == "" || !strings.HasSuffix(f.Message, ".") {
						t.Errorf("finding %s lacks a path, a remedy or a sentence: %+v", f.ID(), f)
					}
				}
			})
		}
	}
}

// TestRolloutReadsPods holds that a rollout is judged by the Pods, unless the status in the request says that all are well.
func TestRolloutReadsPods(t *testing.T) {
	const settled = "replicas: 3, readyReplicas: 3, updatedReplicas: 3, observedGeneration: 2"
	for status, reads := range map[string]bool{
		settled: false,
		"":      true,
		strings.Replace(settled, "readyReplicas: 3", "readyReplicas: 2", 1):           true,
		strings.Replace(settled, "updatedReplicas: 3", "updatedReplicas: 2", 1):       true,
		strings.Replace(settled, "replicas: 3", "replicas: 4", 1):                     true,
		strings.Replace(settled, "observedGeneration: 2", "observedGeneration: 1", 1): true,
	} {
		t.Run(status, func(t *testing.T) {
			ch := change(t, "{kind: StatefulSet, metadata: {generation: 2}, status: {"+status+"}}",
				"{kind: StatefulSet, metadata: {generation: 2}, spec: {template: {spec: {terminationGracePeriodSeconds: 60}}}, status: {"+status+"}}")
			set := only(t, policy(t, "a", "rules: {unsafeRollout: {action: Deny}}"))
			if _, err := set.Judge(ch, broken{Snapshot{Complete: true}, map[string]error{"Pods": errors.New("Pods cannot be read")}}); (err != nil) != reads {
				t.Errorf("it read Pods, and got %v", err)
			}
		})
	}
}

// briefly writes findings the way cases want them: check, or check:Action where it is not Deny.
func briefly(v Verdict) []string {
	var short []string
	for _, f := range v.Findings {
		s := f.Check
		if f.Action != v1alpha1.Deny {
			s += ":" + string(f.Action)
		}
		short = append(short, s)
	}
	return short
}

func TestRulesAreWellFormed(t *testing.T) {
	if !slices.IsSortedFunc(Rules, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("the rules are not sorted by ID")
	}
	for _, rule := range Rules {
		t.Run(rule.ID, func(t *testing.T) {
			if found, ok := Find(rule.ID); !ok || found.Title != rule.Title {
				t.Error("the ID is not unique")
			}
			passes, names := false, map[string]bool{}
			shown := map[string]bool{}
			for _, c := range rule.Cases {
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
