package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden answers")

// answers are both webhooks' answers to a review, in readable form.
type answers struct {
	Mutate, Validate response
}

type response struct {
	Status           int               `json:"status"`
	Allowed          bool              `json:"allowed"`
	Patch            json.RawMessage   `json:"patch,omitempty"`
	Warnings         []string          `json:"warnings,omitempty"`
	AuditAnnotations map[string]string `json:"auditAnnotations,omitempty"`
	Result           *metav1.Status    `json:"result,omitempty"`
	Message          []string          `json:"message,omitempty"`
}

// TestReviews answers reviews that a real API server sent (see test/record) and compares the answers with the golden files. The
// cluster has the StatefulSet db with three Pods, of which db-0 is not ready.
func TestReviews(t *testing.T) {
	reviews, err := filepath.Glob("testdata/*.review.json")
	if err != nil || len(reviews) == 0 {
		t.Fatalf("no recorded reviews: %v", err)
	}
	handler := testReviewer(t, databaseClusters(t)).Handler(logr.Discard())
	for _, path := range reviews {
		name := strings.TrimSuffix(filepath.Base(path), ".review.json")
		t.Run(name, func(t *testing.T) {
			review, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(answers{ask(t, handler, MutatePath, review), ask(t, handler, ValidatePath, review)}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".answer.json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReadsNoMoreThanItFills checks that a review's objects are read for defaults only if a policy has some. An object that cannot
// be decoded shows whether it was read.
func TestReadsNoMoreThanItFills(t *testing.T) {
	review := bytes.ReplaceAll(recorded(t, "database-grow"), []byte(`"serviceName":"orders"`), []byte(`"serviceName":{}`))
	for profile, want := range map[string]int{"baseline": http.StatusOK, "restricted": http.StatusBadRequest} {
		t.Run(profile, func(t *testing.T) {
			handler := benchReviewer(t, profile).Handler(logr.Discard())
			if got := ask(t, handler, MutatePath, review); got.Status != want || got.Allowed != (want == http.StatusOK) {
				t.Errorf("the answer is %+v", got)
			}
			if got := ask(t, handler, ValidatePath, review); got.Status != http.StatusBadRequest {
				t.Errorf("the answer of the other webhook is %+v", got)
			}
		})
	}
}

// TestTroubleIsNotARefusal checks that internal failures are HTTP errors, so that the failure policy decides.
func TestTroubleIsNotARefusal(t *testing.T) {
	review, err := os.ReadFile("testdata/scale-down.review.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, clusters := range map[string]Clusters{
		"a read fails":  fixedClusters{err: errors.New("the API server does not answer")},
		"a rule panics": fixedClusters{panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodPost, ValidatePath, bytes.NewReader(review))
			request.Header.Set("Content-Type", "application/json")
			testReviewer(t, clusters).Handler(logr.Discard()).ServeHTTP(recorder, request)
			if recorder.Code != http.StatusInternalServerError {
				t.Errorf("the answer is %d %s", recorder.Code, recorder.Body)
			}
		})
	}
}

// TestAskAgain checks that only destructive requests are asked to retry if the cluster cannot be read.
func TestAskAgain(t *testing.T) {
	unreadable := databaseClusters(t)
	unreadable.unread = errors.New("the API server does not answer")
	for name, c := range map[string]struct {
		clusters Clusters
		review   string
		status   int
	}{
		"the StatefulSet that is scaled cannot be read": {fixedClusters{err: errors.New("the API server does not answer")}, "scale-down", 0},
		"a scale-down":       {unreadable, "scale-down", 0},
		"a delete":           {unreadable, "claim-delete", 0},
		"an apply":           {unreadable, "statefulset-apply", http.StatusInternalServerError},
		"a rule that panics": {fixedClusters{panics: true}, "scale-down", http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			review, err := os.ReadFile("testdata/" + c.review + ".review.json")
			if err != nil {
				t.Fatal(err)
			}
			r := testReviewer(t, c.clusters)
			r.AskAgain = true
			got := ask(t, r.Handler(logr.Discard()), ValidatePath, review)
			if c.status != 0 {
				if got.Status != c.status {
					t.Errorf("the answer is %+v", got)
				}
				return
			}
			if got.Allowed || got.Result == nil || got.Result.Code != http.StatusServiceUnavailable || got.Result.Details.RetryAfterSeconds == 0 {
				t.Errorf("the answer is %+v", got)
			}
		})
	}
}

func TestScaleOfAStatefulSetThatIsGone(t *testing.T) {
	review, err := os.ReadFile("testdata/scale-down.review.json")
	if err != nil {
		t.Fatal(err)
	}
	handler := testReviewer(t, fixedClusters{}).Handler(logr.Discard())
	if got := ask(t, handler, ValidatePath, review); !got.Allowed {
		t.Errorf("the answer is %+v; the API server says better that the object is gone", got)
	}
}

func TestEvents(t *testing.T) {
	for name, want := range map[string]string{
		"scale-down":                   "Warning Denied kubernetes-admin: scale-down/quorum",
		"scale-to-zero-dry-run":        "",
		"statefulset-weaken-retention": "Warning Denied kubernetes-admin: retention-policy/required",
	} {
		t.Run(name, func(t *testing.T) {
			review, err := os.ReadFile("testdata/" + name + ".review.json")
			if err != nil {
				t.Fatal(err)
			}
			review = bytes.ReplaceAll(review, []byte(`"username": "admin"`), []byte(`"username": "kubernetes-admin"`))
			r := testReviewer(t, databaseClusters(t))
			recorder := events.NewFakeRecorder(10)
			r.events = recorder
			ask(t, r.Handler(logr.Discard()), ValidatePath, review)
			got := ""
			select {
			case got = <-recorder.Events:
			default:
			}
			if (want == "") != (got == "") || !strings.HasPrefix(got, want) {
				t.Errorf("event %q, want %q", got, want)
			}
		})
	}
}

func TestShorten(t *testing.T) {
	long := strings.Repeat("é", 600)
	if got := shorten(long); len(got) > 1024 || !strings.HasSuffix(got, "é…") {
		t.Errorf("%d bytes that end with %q", len(got), got[len(got)-8:])
	}
	if got := shorten("short"); got != "short" {
		t.Errorf("got %q", got)
	}
}

// FuzzReview sends any body. The answer must be allowed, refused or an HTTP error, never a panic.
func FuzzReview(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.review.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		review, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(review)
	}
	handler := testReviewer(f, databaseClusters(f)).Handler(logr.Discard())
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{MutatePath, ValidatePath} {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			handler.ServeHTTP(recorder, request)
			if recorder.Code == http.StatusInternalServerError {
				t.Errorf("%s: %s", path, recorder.Body)
			}
		}
	})
}

func ask(t testing.TB, handler http.Handler, path string, review []byte) response {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, path+"?timeout=5s", bytes.NewReader(review))
	request.Header.Set("Content-Type", "application/json")
	handler.ServeHTTP(recorder, request)
	answer := response{Status: recorder.Code}
	if recorder.Code != http.StatusOK {
		answer.Message = []string{strings.TrimSpace(recorder.Body.String())}
		return answer
	}
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	r := got.Response
	answer.Allowed, answer.Patch, answer.Warnings, answer.AuditAnnotations, answer.Result = r.Allowed, r.Patch, r.Warnings, r.AuditAnnotations, r.Result
	if r.Result != nil {
		answer.Message = strings.Split(r.Result.Message, "\n")
		r.Result.Message = ""
	}
	return answer
}

// TestEviction checks that an eviction is judged as the delete of its Pod with the eviction's grace period.
func TestEviction(t *testing.T) {
	review := func(pod string) *admissionv1.AdmissionRequest {
		return &admissionv1.AdmissionRequest{
			Operation: admissionv1.Create, Namespace: "default", Name: pod, SubResource: "eviction",
			Kind:   metav1.GroupVersionKind{Group: "policy", Version: "v1", Kind: "Eviction"},
			Object: runtime.RawExtension{Raw: []byte(`{"deleteOptions":{"gracePeriodSeconds":0}}`)},
		}
	}
	ch, err := decodeChange(t.Context(), review("db-1"), databaseClusters(t))
	if err != nil {
		t.Fatal(err)
	}
	if ch.Operation != admissionv1.Delete || ch.New != nil || ch.Old.GetName() != "db-1" || *ch.DeleteOptions.GracePeriodSeconds != 0 {
		t.Errorf("the change is %+v", ch)
	}
	if ch, err := decodeChange(t.Context(), review("db-9"), databaseClusters(t)); ch != nil || err != nil {
		t.Errorf("the eviction of a Pod that is gone is %+v, %v", ch, err)
	}
}

func testReviewer(t testing.TB, clusters Clusters) *Reviewer {
	t.Helper()
	var policy v1alpha1.StatefulPolicy
	if err := yaml.UnmarshalStrict([]byte(`
metadata: {name: databases}
spec:
  rules:
    updateStrategy: {action: Warn, default: {type: OnDelete}}
`), &policy); err != nil {
		t.Fatal(err)
	}
	set, err := policies.Compile(rules.All, []v1alpha1.StatefulPolicy{policy}, "restricted")
	if err != nil {
		t.Fatal(err)
	}
	r := NewReviewer(clusters, events.NewFakeRecorder(100))
	r.policies.Store(set)
	return r
}

// TestCreateListsItsPodsOnce checks that rules and reviewer share one live answer.
func TestCreateListsItsPodsOnce(t *testing.T) {
	clusters := &countingClusters{fixedClusters: databaseClusters(t)}
	namespace := clusters.Objects[1]
	namespace.SetLabels(map[string]string{policies.ModeLabel: "warn"})
	clusters.Objects = []kinds.Object{namespace}
	ask(t, testReviewer(t, clusters).Handler(logr.Discard()), ValidatePath, recorded(t, "database-create"))
	if clusters.podLists != 1 {
		t.Errorf("Pods were listed %d times, want 1", clusters.podLists)
	}
}

// countingClusters counts the lists of Pods.
type countingClusters struct {
	fixedClusters
	podLists int
}

func (c *countingClusters) Around(context.Context, authenticationv1.UserInfo, bool) policies.Cluster {
	return c
}

func (c *countingClusters) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	if kind == kinds.Pod {
		c.podLists++
	}
	return c.Snapshot.List(kind, namespace, selector)
}

// Names finds nothing in a cache.
func (c *countingClusters) Names(*kinds.Kind, string, func(kinds.Object) bool) ([]string, bool) {
	return nil, true
}

// fixedClusters answers from memory.
type fixedClusters struct {
	policies.Snapshot
	set    *appsv1.StatefulSet
	err    error // of reading set
	unread error // of reading anything else
	panics bool
}

func (w fixedClusters) Around(context.Context, authenticationv1.UserInfo, bool) policies.Cluster {
	if w.panics {
		panic("out of order")
	}
	if w.unread != nil {
		return unreadable{w.Snapshot, w.unread}
	}
	return w.Snapshot
}

// unreadable can read only its namespaces.
type unreadable struct {
	policies.Snapshot
	err error
}

func (u unreadable) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	if kind != kinds.Namespace {
		return nil, false, u.err
	}
	return u.Snapshot.Get(kind, namespace, name)
}

func (u unreadable) List(*kinds.Kind, string, labels.Selector) ([]kinds.Object, bool, error) {
	return nil, false, u.err
}

func (w fixedClusters) Scaled(context.Context, client.ObjectKey, string) (*appsv1.StatefulSet, error) {
	switch {
	case w.err != nil:
		return nil, w.err
	case w.set == nil && !w.panics:
		return nil, apierrors.NewNotFound(appsv1.Resource("statefulsets"), "db")
	}
	return w.set, nil
}

func (w fixedClusters) Custom(_ context.Context, of schema.GroupVersionResource, meta metav1.ObjectMeta) (*kinds.Custom, error) {
	for _, o := range w.Objects {
		if custom, ok := o.(*kinds.Custom); ok && custom.Resource == of.Resource && custom.GetUID() == meta.UID {
			return custom, nil
		}
	}
	return nil, apierrors.NewNotFound(of.GroupResource(), meta.Name)
}

func (w fixedClusters) Pod(_ context.Context, key client.ObjectKey) (*corev1.Pod, error) {
	for _, o := range w.Objects {
		if pod, ok := o.(*corev1.Pod); ok && client.ObjectKeyFromObject(pod) == key {
			return pod, nil
		}
	}
	return nil, apierrors.NewNotFound(corev1.Resource("pods"), key.Name)
}

func databaseClusters(t testing.TB) fixedClusters {
	t.Helper()
	set := &appsv1.StatefulSet{}
	if err := yaml.Unmarshal([]byte(`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}}
  volumeClaimTemplates: [{metadata: {name: data}}]
`), set); err != nil {
		t.Fatal(err)
	}
	kinds.Normalise(set)
	clusters := fixedClusters{set: set, Snapshot: policies.Snapshot{Complete: true}}
	clusters.Objects = append(clusters.Objects, set, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{policies.ProfileLabel: "restricted"}},
	})
	for i := range 3 {
		ready := corev1.ConditionTrue
		if i == 0 {
			ready = corev1.ConditionFalse
		}
		clusters.Objects = append(clusters.Objects, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("db-%d", i), Namespace: "default", Labels: map[string]string{"app": "db"}},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		})
	}
	return clusters
}
