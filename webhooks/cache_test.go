package webhooks

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// TestRulesMissNothingInTheCache judges every rule's cases once more with the world as the cache has it.
func TestRulesMissNothingInTheCache(t *testing.T) {
	for _, rule := range policies.Rules {
		for _, c := range rule.Cases {
			t.Run(rule.ID+"/"+c.Name, func(t *testing.T) {
				ch, world, policy, err := c.Build(rule)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range append(world.Objects, ch.Old, ch.New) {
					policies.Normalise(o)
				}
				if ch.Destructive() {
					t.Skip("read past the cache")
				}
				set, err := policies.Compile([]v1alpha1.StatefulPolicy{policy}, policies.ProfileOff)
				if err != nil {
					t.Fatal(err)
				}
				want, err := set.Judge(ch, world)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range world.Objects {
					asCached(t, o)
				}
				if got, err := set.Judge(ch, world); err != nil || cmp.Diff(want, got) != "" {
					t.Errorf("error %v, verdict (-whole objects +cached ones):\n%s", err, cmp.Diff(want, got))
				}
			})
		}
	}
}

// asCached makes of an object what is kept of it, where its kind is kept at all.
func asCached(t *testing.T, o policies.Object) {
	t.Helper()
	for kind, how := range Cached() {
		if reflect.TypeOf(kind) != reflect.TypeOf(o) {
			continue
		}
		if _, err := how.Transform(o); err != nil {
			t.Fatal(err)
		}
	}
}
