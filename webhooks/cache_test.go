package webhooks

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"

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
				if play.Cluster.Complete && c.Stands == nil && err == nil {
					// Where to look, the webhook knows from what it watches.
					got, err = set.Judge(play.Change, watchedCluster{play.Cluster, watch(t, play.Cluster.Objects)})
				}
				// What mends a finding holds the object itself, which is not the same one.
				if diff := cmp.Diff(whole, got, cmpopts.IgnoreFields(policies.Finding{}, "Fix")); err != nil || diff != "" {
					t.Errorf("error %v, verdict (-whole objects +trimmed ones):\n%s", err, diff)
				}
			})
		}
	}
}

// watchedCluster is the cluster, and what a cache that watches it knows.
type watchedCluster struct {
	policies.Snapshot
	watched Watched
}

func (c watchedCluster) Names(kind *kinds.Kind, namespace string, match func(kinds.Object) bool) ([]string, bool) {
	return c.watched.names(kind, namespace, match)
}

// watch returns informers that have seen the objects.
func watch(t *testing.T, objects []kinds.Object) Watched {
	watched := Watched{}
	for _, kind := range kinds.All {
		watched[kind] = toolscache.NewSharedIndexInformer(nil, kind.New(), 0, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
	}
	for _, o := range objects {
		kind, kept := kinds.Of(o), any(o)
		if watched[kind] == nil || kind == kinds.Pod && !members.Matches(labels.Set(o.GetLabels())) {
			continue
		}
		if kind == kinds.Pod {
			kept, _ = slim(o)
		}
		if err := watched[kind].GetIndexer().Add(kept); err != nil {
			t.Fatal(err)
		}
	}
	return watched
}
