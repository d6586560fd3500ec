package webhooks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
)

// cacheOf returns Mooring's cache of an API server with only these StatefulSets.
func cacheOf(t testing.TB, sets []appsv1.StatefulSet) (cache.Cache, Watched) {
	t.Helper()
	list, err := json.Marshal(appsv1.StatefulSetList{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSetList"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: sets,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Query().Has("sendInitialEvents"):
			http.Error(w, "", http.StatusBadRequest)
		case r.URL.Query().Has("watch"):
			<-r.Context().Done()
		default:
			_, _ = w.Write(list)
		}
	}))
	t.Cleanup(server.Close)
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range kinds.All {
		mapper.Add(kind.GroupVersionKind, meta.RESTScopeNamespace)
	}
	made := func() cache.Cache {
		of, err := cache.New(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
			cache.Options{Scheme: scheme, Mapper: mapper, ByObject: Trimmed()})
		if err != nil {
			t.Fatal(err)
		}
		return of
	}
	// The Pods' cache never starts, as if they took very long.
	cached := made()
	watched, err := Watch(t.Context(), cached, Members{made()})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = cached.Start(t.Context()) }()
	if !cached.WaitForCacheSync(t.Context()) {
		t.Fatal("the cache has not synced")
	}
	if !watched.Synced() {
		t.Fatal("a server waits for the Pods")
	}
	return cached, watched
}

// sharing returns StatefulSets in one namespace, each with its own Secret.
func sharing(n int) []appsv1.StatefulSet {
	sets := make([]appsv1.StatefulSet, n)
	for i := range sets {
		set := &sets[i]
		set.Name, set.Namespace = fmt.Sprintf("db-%d", i), "shop"
		set.Spec.Template.Spec.Volumes = []corev1.Volume{{
			Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: fmt.Sprintf("keys-%d", i)}},
		}}
	}
	return sets
}

func secret(name string) kinds.Object {
	o := kinds.Secret.New()
	o.SetName(name)
	o.SetNamespace("shop")
	return o
}

// TestIndex checks that an object found in the cache's index counts only if it still exists and still matches.
func TestIndex(t *testing.T) {
	sets := sharing(4)
	cached, watched := cacheOf(t, sets)
	// Since then, one was deleted and one needs another Secret.
	now := sharing(4)
	now[2].Spec.Template.Spec.Volumes = nil
	live, _ := cacheOf(t, append(now[:1:1], now[2:]...))
	for _, c := range []struct {
		secret        string
		cached, fresh int
	}{
		{"keys-0", 1, 1},
		{"keys-1", 1, 0},
		{"keys-2", 1, 0},
		{"nobodys", 0, 0},
	} {
		t.Run(c.secret, func(t *testing.T) {
			for asked, want := range map[bool]int{false: c.cached, true: c.fresh} {
				around := NewClusters(cached, live, watched, nil).Around(t.Context(), authenticationv1.UserInfo{}, asked)
				found, err := policies.InNeedOf(secret(c.secret), around)
				if err != nil || len(found) != want {
					t.Errorf("live %t: %d StatefulSets and error %v, want %d", asked, len(found), err, want)
				}
			}
		})
	}
}

// BenchmarkNeededObject measures the lookup for the delete of a Secret, in a namespace of this many StatefulSets.
func BenchmarkNeededObject(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cached, watched := cacheOf(b, sharing(n))
			around := NewClusters(cached, cached, watched, nil).Around(b.Context(), authenticationv1.UserInfo{}, false)
			deleted := secret("keys-7")
			for b.Loop() {
				if found, err := policies.InNeedOf(deleted, around); err != nil || len(found) != 1 {
					b.Fatal(len(found), err)
				}
			}
		})
	}
}
