package webhooks

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
)

// TestRulesMissNothingInTheCache judges every rule's cases again with the cluster as the cache has it, and objects of a live
// cluster as the scanner reads them.
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
					// The webhook finds objects with what it watches.
					got, err = set.Judge(play.Change, watchedCluster{play.Cluster, watch(t, play.Cluster.Objects)})
				}
				// The fix holds the object itself, which is another copy.
				if diff := cmp.Diff(whole, got, cmpopts.IgnoreFields(policies.Finding{}, "Fix")); err != nil || diff != "" {
					t.Errorf("error %v, verdict (-whole objects +trimmed ones):\n%s", err, diff)
				}
			})
		}
	}
}

// watchedCluster is a cluster with a cache that watches it.
type watchedCluster struct {
	policies.Snapshot
	watched Watched
}

func (c watchedCluster) Seen(index *policies.Index, namespace, value string) ([]kinds.Object, bool) {
	return c.watched.seen(index, namespace, value)
}

// synced is an informer that has seen the indexer's objects.
type synced struct{ toolscache.Indexer }

func (synced) HasSynced() bool                  { return true }
func (s synced) GetIndexer() toolscache.Indexer { return s.Indexer }

// watch returns informers that have seen the objects.
func watch(t *testing.T, objects []kinds.Object) Watched {
	watched := Watched{}
	for _, kind := range kinds.All {
		watched[kind] = synced{toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, indexersOf(kind))}
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

// TestTheCacheOnlySaysWhereToLook judges while the cache is behind. A denial must rest on live objects, and objects found by name
// must be found whatever the cache has.
func TestTheCacheOnlySaysWhereToLook(t *testing.T) {
	meta := func(name, uid string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(uid)}
	}
	set := func(change func(*appsv1.StatefulSet)) kinds.Object {
		set := &appsv1.StatefulSet{ObjectMeta: meta("db", "1"), Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](1), ServiceName: "db", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}},
		}}
		change(set)
		return set
	}
	same := func(*appsv1.StatefulSet) {}
	takesClaims := func(set *appsv1.StatefulSet) {
		set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
	}
	claim := func(name string, owners ...metav1.OwnerReference) kinds.Object {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: meta(name, name), Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
		claim.OwnerReferences = owners
		return claim
	}
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "1"}
	pod := func(claim string) kinds.Object {
		pod := &corev1.Pod{ObjectMeta: meta("db-0", "pod")}
		pod.Labels = map[string]string{"app": "db", appsv1.StatefulSetPodNameLabel: "db-0"}
		pod.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
		return pod
	}
	service := &corev1.Service{ObjectMeta: meta("db", "service")}
	for name, test := range map[string]struct {
		deleted       kinds.Object
		cached, there []kinds.Object
		want          string
	}{
		"a Service whose StatefulSet is gone":                  {deleted: service, cached: []kinds.Object{set(same)}},
		"a Service whose StatefulSet exists":                   {deleted: service, cached: []kinds.Object{set(same)}, there: []kinds.Object{set(same)}, want: "headless-service/in-use"},
		"a Service whose StatefulSet is now scaled to zero":    {deleted: service, cached: []kinds.Object{set(same)}, there: []kinds.Object{set(func(set *appsv1.StatefulSet) { set.Spec.Replicas = ptr.To[int32](0) })}},
		"a StatefulSet whose claim the cache has not seen":     {deleted: set(takesClaims), there: []kinds.Object{claim("data-db-0")}, want: "delete-protection/data"},
		"a StatefulSet whose claim is gone":                    {deleted: set(takesClaims), cached: []kinds.Object{claim("data-db-0")}},
		"a StatefulSet that still owns a claim":                {deleted: set(same), cached: []kinds.Object{claim("data-db-5", owner)}, there: []kinds.Object{claim("data-db-5", owner)}, want: "delete-protection/data"},
		"a StatefulSet that no longer owns the claim":          {deleted: set(same), cached: []kinds.Object{claim("data-db-5", owner)}, there: []kinds.Object{claim("data-db-5")}},
		"a claim whose Pod the cache has not seen":             {deleted: claim("data-db-0"), there: []kinds.Object{pod("data-db-0")}, want: "delete-protection/in-use"},
		"a claim with any other name, and a Pod that uses it":  {deleted: claim("archive"), cached: []kinds.Object{pod("archive")}, there: []kinds.Object{pod("archive")}, want: "delete-protection/in-use"},
		"a claim that a Pod used before the Pod was recreated": {deleted: claim("archive"), cached: []kinds.Object{pod("archive")}, there: []kinds.Object{pod("other")}},
	} {
		t.Run(name, func(t *testing.T) {
			compiled, err := policies.Compile(rules.All, nil, policies.Baseline)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range slices.Concat(test.cached, test.there, []kinds.Object{test.deleted}) {
				o.GetObjectKind().SetGroupVersionKind(kinds.Of(o).GroupVersionKind)
			}
			c := watchedCluster{policies.Snapshot{Objects: test.there, Complete: true}, watch(t, test.cached)}
			verdict, err := compiled.Judge(policies.Change{Operation: admissionv1.Delete, Old: test.deleted}, policies.Remember(c))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if len(verdict.Findings) > 0 {
				got = verdict.Findings[0].ID()
			}
			if got != test.want || len(verdict.Findings) > 1 {
				t.Errorf("findings %v, want %q", verdict.Findings, test.want)
			}
		})
	}
}
