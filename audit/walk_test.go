package audit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/report"
)

// apiServer lists objects in their given order, two on a page.
type apiServer struct {
	client.Reader
	objects []client.Object
	// forbidden are the resources that cannot be listed.
	forbidden []string
	// expires is how many continue tokens expire.
	expires int
	lists   int
	// asked guards the two: each kind is listed by its own goroutine.
	asked sync.Mutex
}

func (s *apiServer) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	s.asked.Lock()
	defer s.asked.Unlock()
	s.lists++
	var all []runtime.Object
	for _, object := range s.objects {
		if o.Namespace != "" && object.GetNamespace() != o.Namespace {
			continue
		}
		if strings.TrimSuffix(fmt.Sprintf("%T", list), "List") == fmt.Sprintf("%T", object) {
			// A real API server never returns the same object twice.
			all = append(all, object.DeepCopyObject())
		}
	}
	for _, resource := range s.forbidden {
		if strings.EqualFold(strings.TrimSuffix(resource, "s")+"list", strings.TrimPrefix(fmt.Sprintf("%T", list), "*v1.")) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", fmt.Errorf("cannot list resource %q", resource))
		}
	}
	from, _ := strconv.Atoi(strings.TrimPrefix(o.Continue, "again-"))
	if o.Continue != "" && !strings.HasPrefix(o.Continue, "again-") && s.expires > 0 {
		s.expires--
		expired := apierrors.NewResourceExpired("too old")
		expired.ErrStatus.Continue = "again-" + o.Continue
		return expired
	}
	to := min(from+2, len(all))
	if to < len(all) {
		list.SetContinue(strconv.Itoa(to))
		list.SetRemainingItemCount(ptr.To(int64(len(all) - to)))
	}
	return meta.SetList(list, all[from:to])
}

func (s *apiServer) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	for _, o := range s.objects {
		if namespace, ok := o.(*corev1.Namespace); ok && namespace.Name == key.Name {
			namespace.DeepCopyInto(into.(*corev1.Namespace))
			return nil
		}
	}
	return apierrors.NewNotFound(corev1.Resource("namespaces"), key.Name)
}

func set(namespace, name string) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}}}
	s.Spec.ServiceName, s.Spec.Selector = name, &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	s.Spec.Template.Labels = map[string]string{"app": name}
	s.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](30)
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	s.Status.ReadyReplicas = 1
	return s
}

func service(namespace, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": name}},
	}
}

func namespaceOf(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// headless returns the findings of one rule.
func headless(r report.Report) []string {
	var all []string
	for _, f := range r.Findings {
		if f.Rule == "headless-service" {
			all = append(all, f.Object.Namespace+"/"+f.Object.Name+":"+string(f.Action))
		}
	}
	slices.Sort(all)
	return all
}

func run(t *testing.T, s *apiServer, o Options) report.Report {
	t.Helper()
	var err error
	if o.Policies, err = policies.Compile(rules.All, nil, "baseline"); err != nil {
		t.Fatal(err)
	}
	o.DefaultProfile = "baseline"
	var r report.Report
	if err := Cluster(t.Context(), s, o, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWalk checks that related objects are judged together, whatever their order and pages.
func TestWalk(t *testing.T) {
	// In the API server's order a-b is before a, because their keys continue with a slash.
	inOrder := []client.Object{
		namespaceOf("a", nil), namespaceOf("a-b", map[string]string{policies.ModeLabel: "warn"}), namespaceOf("b", map[string]string{"team": "x"}),
		set("a-b", "one"), set("a", "one"), set("a", "two"), set("a", "three"), set("b", "one"),
		service("a", "one"), service("a", "two"), service("b", "one"),
	}
	everywhere := []string{"a-b/one:Warn", "a/three:Deny"}
	for _, c := range []struct {
		name   string
		server *apiServer
		o      Options
		want   []string
	}{
		{"everything", &apiServer{objects: inOrder}, Options{}, everywhere},
		{"a server that lists in another order", &apiServer{objects: slices.Concat(inOrder[:3], inOrder[5:], inOrder[3:5])}, Options{}, everywhere},
		{"continue tokens that expire", &apiServer{objects: inOrder, expires: 2}, Options{}, everywhere},
		{"named namespaces", &apiServer{objects: inOrder}, Options{Namespaces: []string{"b", "a-b"}}, []string{"a-b/one:Warn"}},
		{"selected namespaces", &apiServer{objects: inOrder}, Options{Selected: metav1Selector(t, "team=x")}, nil},
		{"selected objects", &apiServer{objects: inOrder}, Options{Objects: metav1Selector(t, "app=one")}, []string{"a-b/one:Warn"}},
		{"no right to read namespaces", &apiServer{objects: inOrder, forbidden: []string{"namespaces"}}, Options{}, []string{"a-b/one:Deny", "a/three:Deny"}},
		{
			"no right to read Services: the unknown is not denied", &apiServer{objects: inOrder, forbidden: []string{"services"}}, Options{Namespaces: []string{"b"}},
			[]string{"b/one:Warn"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.server, c.o)
			if diff := cmp.Diff(c.want, headless(r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(r.Errors) != len(c.server.forbidden) {
				t.Errorf("the errors are %v", r.Errors)
			}
		})
	}
}

// TestMissingRights checks that a missing right is reported once for each namespace, with the command that grants it.
func TestMissingRights(t *testing.T) {
	var r report.Report
	o := Options{Cluster: "prod", PoliciesUnknown: true, Asker: func() string { return "system:serviceaccount:audit:reader" }}
	var err error
	if o.Policies, err = policies.Compile(rules.All, nil, "baseline"); err != nil {
		t.Fatal(err)
	}
	if err := Cluster(t.Context(), &apiServer{objects: []client.Object{set("a", "one")}, forbidden: []string{"services", "deployments"}}, o, &r); err != nil {
		t.Fatal(err)
	}
	want := []report.Error{{Cluster: "prod", Message: "system:serviceaccount:audit:reader may not list deployments.apps, services, statefulpolicies.mooring.dev in this cluster. " +
		"What depends on them is not judged, or only warns. Fix: kubectl create clusterrolebinding mooring-audit-system:serviceaccount:audit:reader --clusterrole=mooring-audit --serviceaccount=audit:reader"}}
	if diff := cmp.Diff(want, r.Errors); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCandidate(t *testing.T) {
	r := run(t, &apiServer{objects: []client.Object{
		namespaceOf("a", map[string]string{policies.ProfileLabel: "off", policies.ModeLabel: "audit"}), set("a", "one"), service("a", "one"),
	}}, Options{Candidate: "restricted", Cluster: "prod"})
	if len(r.Findings) != 0 {
		t.Errorf("a namespace that wants no profile has findings: %v", r.Findings)
	}
	if r.Candidate == nil || r.Candidate.Subject != "restricted" || r.Candidate.Count("Deny") == 0 || r.Candidate.Findings[0].Cluster != "prod" {
		t.Errorf("the candidate is %+v", r.Candidate)
	}
}

func TestInventory(t *testing.T) {
	one := set("a", "one")
	one.Spec.Replicas, one.Labels[policies.ProtectLabel] = ptr.To[int32](3), "true"
	claim := func(name string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
		c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: *sizeGi(2)}
		return c
	}
	r := run(t, &apiServer{objects: []client.Object{
		namespaceOf("a", map[string]string{policies.ProfileLabel: "restricted"}), one, claim("data-one-0"), claim("data-one-7"), claim("data-one-x"), claim("other"),
	}}, Options{})
	want := []report.Workload{{
		Namespace: "a", Name: "one", Replicas: 3, Ready: 1, Claims: 2, Bytes: 4 << 30,
		WhenDeleted: "Retain", WhenScaled: "Retain", Profile: "restricted", Protected: true,
	}}
	if diff := cmp.Diff(want, r.Inventory); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestListsDoNotGrowWithObjects checks that no object is read by itself: twice the namespaces on the same pages need no more lists.
func TestListsDoNotGrowWithObjects(t *testing.T) {
	lists := func(n int) int {
		s := &apiServer{}
		for i := range n {
			s.objects = append(s.objects, set("a", fmt.Sprintf("s%d", i)), service("a", fmt.Sprintf("s%d", i)))
		}
		run(t, s, Options{})
		return s.lists
	}
	// Two kinds with two objects on a page.
	if four, eight := lists(4), lists(8); eight-four != 4 {
		t.Errorf("%d lists for 4 StatefulSets, %d for 8", four, eight)
	}
}
