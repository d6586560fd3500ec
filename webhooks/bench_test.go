package webhooks

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
)

// work is what is measured: one thing that is done for a review, under a name.
type work struct {
	name string
	do   func(testing.TB)
}

// works are the parts of answering a review: decoding it and nothing else, which is the floor, and the whole of it under
// each profile.
func works(t testing.TB) []work {
	var all []work
	for _, name := range []string{"database-create", "database-update", "scale-up", "claim-create"} {
		body := recorded(t, name)
		all = append(all, work{"decode/" + name, func(t testing.TB) {
			review, err := decodeReview(body)
			if err != nil {
				t.Fatal(err)
			}
			for field, raw := range map[string][]byte{"oldObject": review.Request.OldObject.Raw, "object": review.Request.Object.Raw} {
				if _, err := decodeObject(review.Request, field, raw); err != nil {
					t.Fatal(err)
				}
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

// writer takes an answer and keeps its status alone, so that nothing of the measuring is measured.
type writer struct {
	header http.Header
	status int
}

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(b []byte) (int, error) { return len(b), nil }
func (w *writer) WriteHeader(status int)      { w.status = status }

// recorded returns a recorded review as the API server sends it, without the white space of the file.
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

// benchReviewer judges by a profile alone, in a world that no rule has anything against.
func benchReviewer(t testing.TB, profile string) *Reviewer {
	t.Helper()
	set := databaseWorld(t).set
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: "default"} }
	selector := map[string]string{"app": "orders"}
	world := fixedWorld{set: set, Snapshot: policies.Snapshot{Complete: true, Objects: []policies.Object{
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
	}}}
	compiled, err := policies.Compile(nil, profile)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReviewer(world, events.NewFakeRecorder(0))
	r.policies.Store(compiled)
	return r
}
