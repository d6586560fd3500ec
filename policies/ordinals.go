package policies

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// ordinals is the range of ordinals from start to before end. Replicas may be any int32, so nothing here makes a list as
// long as a range.
type ordinals struct{ start, end int64 }

// rangeOf returns the ordinals that a StatefulSet's spec asks for. Absent replicas count as 1, as the API server has it.
func rangeOf(s *appsv1.StatefulSet) ordinals {
	var start, count int64 = 0, 1
	if s.Spec.Ordinals != nil {
		start = int64(s.Spec.Ordinals.Start)
	}
	if s.Spec.Replicas != nil {
		count = int64(*s.Spec.Replicas)
	}
	return ordinals{start, start + count}
}

func (r ordinals) count() int64 { return max(0, r.end-r.start) }

func (r ordinals) has(n int64) bool { return r.start <= n && n < r.end }

// overlap returns the ordinals that both ranges have.
func (r ordinals) overlap(other ordinals) ordinals {
	both := ordinals{max(r.start, other.start), min(r.end, other.end)}
	if both.count() == 0 {
		return ordinals{}
	}
	return both
}

// minus returns the ordinals of r that other does not have: those below it and those above it.
func (r ordinals) minus(other ordinals) ranges {
	both := r.overlap(other)
	if both.count() == 0 {
		return ranges{r}.compact()
	}
	return ranges{{r.start, both.start}, {both.end, r.end}}.compact()
}

// ranges are ordinals with gaps.
type ranges []ordinals

func (rs ranges) compact() ranges {
	return slices.DeleteFunc(rs, func(r ordinals) bool { return r.count() == 0 })
}

func (rs ranges) count() int64 {
	var n int64
	for _, r := range rs {
		n += r.count()
	}
	return n
}

func (rs ranges) has(n int64) bool {
	return slices.ContainsFunc(rs, func(r ordinals) bool { return r.has(n) })
}

// all yields the ordinals, ascending.
func (rs ranges) all() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, r := range rs {
			for n := r.start; n < r.end; n++ {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// ordinalOf returns the ordinal in a name of the form parent-ordinal, or false where the name has another form.
func ordinalOf(name, parent string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, parent+"-")
	if !ok || digits == "" || (digits[0] == '0' && digits != "0") {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	return int64(n), err == nil
}

// claimsOf returns those of the claims that the StatefulSet's templates name for one of the ordinals.
func claimsOf(s *appsv1.StatefulSet, claims []*corev1.PersistentVolumeClaim, of ranges) []*corev1.PersistentVolumeClaim {
	var own []*corev1.PersistentVolumeClaim
	for _, claim := range claims {
		if n, ok := ClaimOrdinal(s, claim); ok && of.has(n) {
			own = append(own, claim)
		}
	}
	return own
}

// ClaimOrdinal returns the ordinal for which one of the StatefulSet's templates gives a claim this name. A name is all
// that makes a claim a StatefulSet's.
func ClaimOrdinal(s *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) (int64, bool) {
	for i := range s.Spec.VolumeClaimTemplates {
		if n, ok := ordinalOf(claim.Name, s.Spec.VolumeClaimTemplates[i].Name+"-"+s.Name); ok {
			return n, true
		}
	}
	return 0, false
}

// setOf returns the StatefulSet that has a name for the claim, or nil.
func setOf(claim *corev1.PersistentVolumeClaim, sets []*appsv1.StatefulSet) *appsv1.StatefulSet {
	for _, set := range sets {
		if _, ok := ClaimOrdinal(set, claim); ok {
			return set
		}
	}
	return nil
}

// names joins the objects' names the way a person would say them: "a", "a and b", "a, b and 7 more".
func names[T interface{ GetName() string }](objects []T) string {
	all := make([]string, len(objects))
	for i, o := range objects {
		all[i] = o.GetName()
	}
	slices.Sort(all)
	return enumerate(slices.Values(all), int64(len(all)))
}

// podNames names the Pods of these ordinals.
func podNames(s *appsv1.StatefulSet, of ranges) string {
	return enumerate(func(yield func(string) bool) {
		for n := range of.all() {
			if !yield(fmt.Sprintf("%s-%d", s.Name, n)) {
				return
			}
		}
	}, of.count())
}

// enumerate writes at most four of count items, so that a message stays one that can be read aloud.
func enumerate(items iter.Seq[string], count int64) string {
	const most = 4
	var shown []string
	for item := range items {
		if shown = append(shown, item); len(shown) == most {
			break
		}
	}
	switch {
	case count == 0:
		return "none"
	case count == 1:
		return shown[0]
	case count <= most:
		return strings.Join(shown[:count-1], ", ") + " and " + shown[count-1]
	default:
		return fmt.Sprintf("%s and %d more", strings.Join(shown[:most-1], ", "), count-most+1)
	}
}

// plural writes a count with its noun: "1 Pod", "2 Pods".
func plural[N int | int32 | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
