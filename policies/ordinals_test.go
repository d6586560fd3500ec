package policies

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sized returns a StatefulSet of that start and size.
func sized(start, replicas int32) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, Ordinals: &appsv1.StatefulSetOrdinals{Start: start}, Selector: &metav1.LabelSelector{},
	}}
	s.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("StatefulSet"))
	s.Name, s.Namespace = "db", "shop"
	return s
}

func TestRangeOf(t *testing.T) {
	for name, test := range map[string]struct {
		set   *appsv1.StatefulSet
		want  ordinals
		count int64
	}{
		"absent replicas": {&appsv1.StatefulSet{}, ordinals{0, 1}, 1},
		"from zero":       {sized(0, 3), ordinals{0, 3}, 3},
		"from five":       {sized(5, 3), ordinals{5, 8}, 3},
		"none":            {sized(5, 0), ordinals{5, 5}, 0},
		"fewer than none": {sized(0, -3), ordinals{0, -3}, 0},
		"the largest":     {sized(math.MaxInt32, math.MaxInt32), ordinals{math.MaxInt32, 2 * math.MaxInt32}, math.MaxInt32},
		"the smallest":    {sized(math.MinInt32, math.MinInt32), ordinals{math.MinInt32, 2 * math.MinInt32}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rangeOf(test.set); got != test.want || got.count() != test.count {
				t.Errorf("%v of %d, want %v of %d", got, got.count(), test.want, test.count)
			}
		})
	}
}

func TestOrdinalsMinus(t *testing.T) {
	for name, test := range map[string]struct {
		r, other ordinals
		want     ranges
		count    int64
	}{
		"scale-down":            {ordinals{0, 5}, ordinals{0, 3}, ranges{{3, 5}}, 2},
		"scale-up":              {ordinals{0, 3}, ordinals{0, 5}, nil, 0},
		"the same":              {ordinals{0, 3}, ordinals{0, 3}, nil, 0},
		"to zero":               {ordinals{0, 3}, ordinals{0, 0}, ranges{{0, 3}}, 3},
		"from zero":             {ordinals{0, 0}, ordinals{0, 3}, nil, 0},
		"higher start":          {ordinals{0, 3}, ordinals{2, 5}, ranges{{0, 2}}, 2},
		"lower start":           {ordinals{2, 5}, ordinals{0, 3}, ranges{{3, 5}}, 2},
		"both ends":             {ordinals{0, 9}, ordinals{3, 5}, ranges{{0, 3}, {5, 9}}, 7},
		"elsewhere":             {ordinals{0, 3}, ordinals{7, 9}, ranges{{0, 3}}, 3},
		"next to it":            {ordinals{0, 3}, ordinals{3, 6}, ranges{{0, 3}}, 3},
		"less than none left":   {ordinals{0, 3}, ordinals{0, -3}, ranges{{0, 3}}, 3},
		"less than none before": {ordinals{0, -3}, ordinals{0, 3}, nil, 0},
		"int32's extremes":      {ordinals{math.MinInt32, math.MaxInt32}, ordinals{0, 1}, ranges{{math.MinInt32, 0}, {1, math.MaxInt32}}, math.MaxUint32 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.r.minus(test.other)
			if !slices.Equal(got, test.want) || got.count() != test.count {
				t.Errorf("%v of %d, want %v of %d", got, got.count(), test.want, test.count)
			}
			for n := int64(-4); n < 10; n++ {
				if got.has(n) != (test.r.has(n) && !test.other.has(n)) {
					t.Errorf("has(%d) is %t", n, got.has(n))
				}
			}
			if both := test.r.overlap(test.other); both.count()+got.count() != test.r.count() || both != test.other.overlap(test.r) {
				t.Errorf("the overlap is %v", both)
			}
		})
	}
}

// Replicas may be any int32, and what a rule does must not grow with them.
func TestBillionsOfOrdinals(t *testing.T) {
	set := only(t, policy(t, "a", `rules:
  scaleDown: {action: Deny, maxStep: 1, minReplicas: 3}
  updateStrategy: {action: Deny}
  retentionPolicy: {action: Deny}
  headlessService: {action: Deny}`))
	quorum := "scale-down/quorum:Warn@a"
	for name, test := range map[string]struct {
		older, newer *appsv1.StatefulSet
		known        bool
		quorum       string
	}{
		"to less than half, nobody knows":     {sized(0, math.MaxInt32), sized(0, math.MaxInt32/2), false, quorum},
		"to less than half, none is ready":    {sized(0, math.MaxInt32), sized(0, math.MaxInt32/2), true, ""},
		"to one, nobody knows":                {sized(0, math.MaxInt32), sized(0, 1), false, quorum},
		"from the last ordinals to the first": {sized(math.MaxInt32, math.MaxInt32), sized(0, math.MaxInt32), false, quorum},
		"to less than none":                   {sized(0, math.MaxInt32), sized(0, math.MinInt32), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.older.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: "Delete"}
			test.newer.Spec.PersistentVolumeClaimRetentionPolicy = test.older.Spec.PersistentVolumeClaimRetentionPolicy
			ch := Change{Operation: "UPDATE", Old: test.older, New: test.newer}
			if !ch.Destructive() {
				t.Error("it takes ordinals away and is not destructive")
			}
			var got []string
			// A thousand times, so that a loop over every ordinal would not end.
			allocations := testing.AllocsPerRun(1000, func() { got = judge(t, set, ch, Snapshot{Complete: test.known}) })
			if allocations > 10_000 {
				t.Errorf("judging it made %.0f allocations", allocations)
			}
			if slices.Contains(got, quorum) != (test.quorum != "") {
				t.Errorf("findings: %v", got)
			}
			if !slices.Contains(got, "scale-down/step:Deny@a") {
				t.Errorf("the step is not among the findings: %v", got)
			}
		})
	}
}

func TestDestructive(t *testing.T) {
	service := &corev1.Service{}
	for name, test := range map[string]struct {
		ch   Change
		want bool
	}{
		"a create":                 {Change{Operation: "CREATE", New: sized(0, 0)}, false},
		"a delete":                 {Change{Operation: "DELETE", Old: sized(0, 0)}, true},
		"a Service's delete":       {Change{Operation: "DELETE", Old: service}, true},
		"a Service's update":       {Change{Operation: "UPDATE", Old: service, New: service}, false},
		"fewer replicas":           {Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(0, 2)}, true},
		"fewer through scale":      {Change{Operation: "UPDATE", Scale: true, Old: sized(0, 3), New: sized(0, 2)}, true},
		"more replicas":            {Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(0, 4)}, false},
		"equal replicas":           {Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(0, 3)}, false},
		"more, from a later start": {Change{Operation: "UPDATE", Old: sized(0, 3), New: sized(1, 5)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.ch.Destructive(); got != test.want {
				t.Errorf("destructive is %t", got)
			}
		})
	}
}

func TestOrdinalOf(t *testing.T) {
	for name, want := range map[string]int64{
		"db-0": 0, "db-12": 12, "db-2147483647": math.MaxInt32,
		"db-2147483648": -1, "db-99999999999999999999": -1, "db-01": -1, "db-00": -1, "db--1": -1, "db-+1": -1, "db-": -1, "db": -1,
		"db-x": -1, "db-1-2": -1, "web-0": -1, "db-data-0": -1, "db-1 ": -1, "": -1,
	} {
		got, ok := ordinalOf(name, "db")
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("ordinalOf(%q) is %d, %t; want %d", name, got, ok, want)
		}
	}
}

func TestClaimsOf(t *testing.T) {
	set := sized(0, 3)
	for _, template := range []string{"data", "log"} {
		set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates,
			corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: template}})
	}
	var claims []*corev1.PersistentVolumeClaim
	for _, name := range []string{"data-db-0", "data-db-2", "log-db-2", "data-db-3", "data-db-x", "data-dbs-2", "tmp-db-2", "db-2"} {
		claims = append(claims, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	if got, want := names(claimsOf(set, claims, ranges{{1, 3}})), "data-db-2 and log-db-2"; got != want {
		t.Errorf("the claims are %s, want %s", got, want)
	}
}

func TestPodNames(t *testing.T) {
	for want, of := range map[string]ranges{
		"none":                                 nil,
		"db-4":                                 {{4, 5}},
		"db-0 and db-4":                        {{0, 1}, {4, 5}},
		"db-0, db-1, db-2 and db-3":            {{0, 4}},
		"db-0, db-1, db-2 and 2 more":          {{0, 5}},
		"db-0, db-1, db-9 and 2147483645 more": {{0, 2}, {9, 9 + math.MaxInt32 - 1}},
	} {
		if diff := cmp.Diff(want, podNames(sized(0, 0), of)); diff != "" {
			t.Errorf("names of %v (-want +got):\n%s", of, diff)
		}
	}
}
