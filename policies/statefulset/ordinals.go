// Package statefulset knows how StatefulSets work: the ordinals of a spec, the owner of a Pod or claim, readiness, rollouts and
// budgets. It is pure, and knows nothing of policies.
package statefulset

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/words"
)

// Ordinals is a range of ordinals, without End. Replicas can be any int32, so no function here makes a list of a range's length.
type Ordinals struct{ Start, End int64 }

// OrdinalsOf returns the ordinals of a StatefulSet's spec. Absent replicas count as 1, as in the API.
func OrdinalsOf(set *appsv1.StatefulSet) Ordinals {
	start := int64(ptr.Deref(set.Spec.Ordinals, appsv1.StatefulSetOrdinals{}).Start)
	return Ordinals{start, start + int64(ptr.Deref(set.Spec.Replicas, 1))}
}

// Count returns the number of replicas.
func (r Ordinals) Count() int64 { return max(0, r.End-r.Start) }

// Has reports whether the range has the ordinal.
func (r Ordinals) Has(n int64) bool { return r.Start <= n && n < r.End }

// Overlap returns the ordinals in both ranges.
func (r Ordinals) Overlap(other Ordinals) Ordinals {
	both := Ordinals{max(r.Start, other.Start), min(r.End, other.End)}
	if both.Count() == 0 {
		return Ordinals{}
	}
	return both
}

// Minus returns the ordinals of r that are not in other: those below it and those above it.
func (r Ordinals) Minus(other Ordinals) Ranges {
	both := r.Overlap(other)
	if both.Count() == 0 {
		return Ranges{r}.compact()
	}
	return Ranges{{r.Start, both.Start}, {both.End, r.End}}.compact()
}

// Ranges are ordinals with gaps.
type Ranges []Ordinals

// One returns the range of a single ordinal.
func One(n int64) Ordinals { return Ordinals{n, n + 1} }

func (rs Ranges) compact() Ranges {
	return slices.DeleteFunc(rs, func(r Ordinals) bool { return r.Count() == 0 })
}

// Count returns the number of ordinals.
func (rs Ranges) Count() int64 {
	var n int64
	for _, r := range rs {
		n += r.Count()
	}
	return n
}

// Has reports whether a range has the ordinal.
func (rs Ranges) Has(n int64) bool {
	return slices.ContainsFunc(rs, func(r Ordinals) bool { return r.Has(n) })
}

// All yields the ordinals in ascending order.
func (rs Ranges) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, r := range rs {
			for n := r.Start; n < r.End; n++ {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// PodNames lists the names of the Pods with these ordinals.
func PodNames(set *appsv1.StatefulSet, of Ranges) string {
	return words.Enumerate(func(yield func(string) bool) {
		for n := range of.All() {
			if !yield(PodName(set, n)) {
				return
			}
		}
	}, of.Count())
}

// PodName returns the name of the Pod with this ordinal.
func PodName(set *appsv1.StatefulSet, n int64) string { return fmt.Sprintf("%s-%d", set.Name, n) }

// OrdinalIn returns the ordinal of a name such as parent-0, or false.
func OrdinalIn(name, parent string) (int64, bool) {
	before, n, ok := CutOrdinal(name)
	return n, ok && before == parent
}

// CutOrdinal splits a name before its ordinal; ok is false if it has none.
func CutOrdinal(name string) (before string, n int64, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name, 0, false
	}
	digits := name[i+1:]
	if digits == "" || digits[0] == '0' && digits != "0" {
		return name, 0, false
	}
	unsigned, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return name, 0, false
	}
	return name[:i], int64(unsigned), true
}
