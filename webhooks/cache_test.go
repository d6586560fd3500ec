package webhooks

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
)

// TestRulesMissNothingInTheCache judges every rule's cases once more with the cluster as the cache has it, and with what stands in
// the cluster as the scanner reads it.
func TestRulesMissNothingInTheCache(t *testing.T) {
	for _, rule := range rules.All {
		cases, err := ruletest.Of(rule)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(rule.ID+"/"+c.Name, func(t *testing.T) {
				whole, err := c.Judge()
				if err != nil {
					t.Fatal(err)
				}
				play, err := c.Build()
				if err != nil {
					t.Fatal(err)
				}
				set, err := play.Set()
				if err != nil {
					t.Fatal(err)
				}
				cached := play.Cluster.Objects
				if c.Stands != nil {
					cached = append(slices.Clone(cached), play.Change.New)
				}
				for _, o := range cached {
					if _, err := trim(kinds.Of(o))(o); err != nil {
						t.Fatal(err)
					}
				}
				got, err := play.Judge(set)
				// What mends a finding holds the object itself, which is not the same one.
				if diff := cmp.Diff(whole, got, cmpopts.IgnoreFields(policies.Finding{}, "Fix")); err != nil || diff != "" {
					t.Errorf("error %v, verdict (-whole objects +trimmed ones):\n%s", err, diff)
				}
			})
		}
	}
}
