package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
)

// raceEnabled reports whether the race detector is on.
var raceEnabled bool

// work is a named part of answering a review, to be measured.
type work struct {
	name string
	do   func(testing.TB)
}

// works are the parts of answering a review: decoding alone, which is the floor, and the whole answer under each profile.
func works(t testing.TB) []work {
	var all []work
	for _, name := range []string{"database-create", "database-grow", "database-update", "scale-up", "claim-create"} {
		body := recorded(t, name)
		all = append(all, work{"decode/" + name, func(t testing.TB) {
			review, _, err := decodeReview(body, func(*admissionv1.AdmissionRequest) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			_, err1 := decodeObject(review.Request, "oldObject", review.Request.OldObject)
			_, err2 := decodeObject(review.Request, "object", review.Request.Object)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
		}})
		for _, profile := range []string{"baseline", "restricted"} {
			handler := benchReviewer(t, profile).Handler(logr.Discard())
			for _, path := range []string{MutatePath, ValidatePath} {
				all = append(all, work{profile + path + "/" + name, func(t testing.TB) {
					request, err := http.NewRequest(http.MethodPost, path+"?timeout=5s", bytes.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					request.Header.Set("Content-Type", "application/json")
					answer := writer{header: http.Header{}}
					handler.ServeHTTP(&answer, request)
					if answer.status != 0 {
						t.Fatalf("the answer is %d", answer.status)
					}
				}})
			}
		}
	}
	return all
}

// TestAllocations compares the allocations of each work with the checked-in table, which -update writes. An improvement must be
// written down too, or losing it again goes unnoticed.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too, and takes buffers from their pools at random")
	}
	const path = "testdata/allocations.txt"
	measured := map[string]int{}
	var table strings.Builder
	for _, w := range works(t) {
		w.do(t)
		measured[w.name] = int(testing.AllocsPerRun(20, func() { w.do(t) }))
		fmt.Fprintf(&table, "%-40s %5d\n", w.name, measured[w.name])
	}
	if *update {
		if err := os.WriteFile(path, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		var name string
		var want int
		if _, err := fmt.Sscan(line, &name, &want); err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		// An emptied pool, or another version of Go, makes a few more.
		tolerated := 2 + want/10
		if got, ok := measured[name]; !ok || max(got-want, want-got) > tolerated {
			t.Errorf("%s allocates %d times; %s says %d, and %d more or less are tolerated; go test ./webhooks -run Allocations -update", name, got, path, want, tolerated)
		}
		delete(measured, name)
	}
	for name := range measured {
		t.Errorf("%s is not in %s; go test ./webhooks -run Allocations -update", name, path)
	}
}

func BenchmarkReview(b *testing.B) {
	for _, w := range works(b) {
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.do(b)
			}
		})
	}
}

// writer keeps only the status of an answer, so that the measurement does not measure itself.
type writer struct {
	header http.Header
	status int
}

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(b []byte) (int, error) { return len(b), nil }
func (w *writer) WriteHeader(status int)      { w.status = status }

// recorded returns a recorded review as the API server sends it, without the file's white space.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	review, err := os.ReadFile("testdata/" + name + ".review.json")
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, review); err != nil {
		t.Fatal(err)
	}
	return compact.Bytes()
}

// cachedClusters answer from memory, with the Indexes that a cache has.
type cachedClusters struct {
	fixedClusters
	values map[*policies.Index]map[string][]kinds.Object
}

func (c cachedClusters) Around(context.Context, authenticationv1.UserInfo, bool) policies.Cluster {
	return c
}

func (c cachedClusters) Seen(index *policies.Index, _, value string) ([]kinds.Object, bool) {
	return c.values[index][value], true
}

// benchReviewer judges with a profile alone, in a cluster without findings.
func benchReviewer(t testing.TB, profile string) *Reviewer {
	t.Helper()
	set := databaseClusters(t).set
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: "default"} }
	selector := map[string]string{"app": "orders"}
	clusters := cachedClusters{fixedClusters{set: set, Snapshot: policies.Snapshot{Complete: true, Objects: []kinds.Object{
		set,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
		&corev1.Service{ObjectMeta: meta("orders"), Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Selector: selector, PublishNotReadyAddresses: true,
		}},
		&policyv1.PodDisruptionBudget{ObjectMeta: meta("orders"), Spec: policyv1.PodDisruptionBudgetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: selector},
		}},
		&storagev1.StorageClass{AllowVolumeExpansion: ptr.To(true), ObjectMeta: metav1.ObjectMeta{
			Name: "standard", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		}},
	}}}, map[*policies.Index]map[string][]kinds.Object{}}
	for _, index := range policies.Indexes {
		of := slices.DeleteFunc(slices.Clone(clusters.Objects), func(o kinds.Object) bool { return kinds.Of(o) != index.Kind })
		clusters.values[index] = index.Over(of)
	}
	compiled, err := policies.Compile(rules.All, nil, profile)
	if err != nil {
		t.Fatal(err)
	}
	// Without a channel the recorder drops all Events.
	r := NewReviewer(clusters, &events.FakeRecorder{})
	r.policies.Store(compiled)
	return r
}
