package statefulset

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mooring-dev/mooring/policies/words"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sized returns a StatefulSet with this start ordinal and size.
func sized(start, replicas int32) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, Ordinals: &appsv1.StatefulSetOrdinals{Start: start}, Selector: &metav1.LabelSelector{},
	}}
	s.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("StatefulSet"))
	s.Name, s.Namespace = "db", "shop"
	return s
}

func TestOrdinalsOf(t *testing.T) {
	for name, test := range map[string]struct {
		set   *appsv1.StatefulSet
		want  Ordinals
		count int64
	}{
		"absent replicas": {&appsv1.StatefulSet{}, Ordinals{0, 1}, 1},
		"from zero":       {sized(0, 3), Ordinals{0, 3}, 3},
		"from five":       {sized(5, 3), Ordinals{5, 8}, 3},
		"none":            {sized(5, 0), Ordinals{5, 5}, 0},
		"fewer than none": {sized(0, -3), Ordinals{0, -3}, 0},
		"the largest":     {sized(math.MaxInt32, math.MaxInt32), Ordinals{math.MaxInt32, 2 * math.MaxInt32}, math.MaxInt32},
		"the smallest":    {sized(math.MinInt32, math.MinInt32), Ordinals{math.MinInt32, 2 * math.MinInt32}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := OrdinalsOf(test.set); got != test.want || got.Count() != test.count {
				t.Errorf("%v of %d, want %v of %d", got, got.Count(), test.want, test.count)
			}
		})
	}
}

func TestOrdinalsMinus(t *testing.T) {
	for name, test := range map[string]struct {
		r, other Ordinals
		want     Ranges
		count    int64
	}{
		"scale-down":            {Ordinals{0, 5}, Ordinals{0, 3}, Ranges{{3, 5}}, 2},
		"scale-up":              {Ordinals{0, 3}, Ordinals{0, 5}, nil, 0},
		"the same":              {Ordinals{0, 3}, Ordinals{0, 3}, nil, 0},
		"to zero":               {Ordinals{0, 3}, Ordinals{0, 0}, Ranges{{0, 3}}, 3},
		"from zero":             {Ordinals{0, 0}, Ordinals{0, 3}, nil, 0},
		"higher start":          {Ordinals{0, 3}, Ordinals{2, 5}, Ranges{{0, 2}}, 2},
		"lower start":           {Ordinals{2, 5}, Ordinals{0, 3}, Ranges{{3, 5}}, 2},
		"both ends":             {Ordinals{0, 9}, Ordinals{3, 5}, Ranges{{0, 3}, {5, 9}}, 7},
		"elsewhere":             {Ordinals{0, 3}, Ordinals{7, 9}, Ranges{{0, 3}}, 3},
		"next to it":            {Ordinals{0, 3}, Ordinals{3, 6}, Ranges{{0, 3}}, 3},
		"less than none left":   {Ordinals{0, 3}, Ordinals{0, -3}, Ranges{{0, 3}}, 3},
		"less than none before": {Ordinals{0, -3}, Ordinals{0, 3}, nil, 0},
		"int32's extremes":      {Ordinals{math.MinInt32, math.MaxInt32}, Ordinals{0, 1}, Ranges{{math.MinInt32, 0}, {1, math.MaxInt32}}, math.MaxUint32 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.r.Minus(test.other)
			if !slices.Equal(got, test.want) || got.Count() != test.count {
				t.Errorf("%v of %d, want %v of %d", got, got.Count(), test.want, test.count)
			}
			for n := int64(-4); n < 10; n++ {
				if got.Has(n) != (test.r.Has(n) && !test.other.Has(n)) {
					t.Errorf("has(%d) is %t", n, got.Has(n))
				}
			}
			if both := test.r.Overlap(test.other); both.Count()+got.Count() != test.r.Count() || both != test.other.Overlap(test.r) {
				t.Errorf("the overlap is %v", both)
			}
		})
	}
}

func TestOrdinalIn(t *testing.T) {
	for name, want := range map[string]int64{
		"db-0": 0, "db-12": 12, "db-2147483647": math.MaxInt32,
		"db-2147483648": -1, "db-99999999999999999999": -1, "db-01": -1, "db-00": -1, "db--1": -1, "db-+1": -1, "db-": -1, "db": -1,
		"db-x": -1, "db-1-2": -1, "web-0": -1, "db-data-0": -1, "db-1 ": -1, "": -1,
	} {
		got, ok := OrdinalIn(name, "db")
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("OrdinalIn(%q) is %d, %t; want %d", name, got, ok, want)
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
	if got, want := words.Names(ClaimsOf(set, claims, Ranges{{1, 3}})), "data-db-2 and log-db-2"; got != want {
		t.Errorf("the claims are %s, want %s", got, want)
	}
}

func TestPodNames(t *testing.T) {
	for want, of := range map[string]Ranges{
		"none":                                 nil,
		"db-4":                                 {{4, 5}},
		"db-0 and db-4":                        {{0, 1}, {4, 5}},
		"db-0, db-1, db-2 and db-3":            {{0, 4}},
		"db-0, db-1, db-2 and 2 more":          {{0, 5}},
		"db-0, db-1, db-9 and 2147483645 more": {{0, 2}, {9, 9 + math.MaxInt32 - 1}},
	} {
		if diff := cmp.Diff(want, PodNames(sized(0, 0), of)); diff != "" {
			t.Errorf("names of %v (-want +got):\n%s", of, diff)
		}
	}
}
