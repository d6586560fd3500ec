// Package statefulset knows how StatefulSets work: which ordinals a spec asks for, whose a Pod or a claim is, when a member
// counts as ready, and what a rollout or a budget allows. It is pure, and knows nothing of policies.
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

// Ordinals is the range of ordinals from Start to before End. Replicas may be any int32, so nothing here makes a list as
// long as a range.
type Ordinals struct{ Start, End int64 }

// OrdinalsOf returns the ordinals that a StatefulSet's spec asks for. Absent replicas count as 1, as the API server has it.
func OrdinalsOf(set *appsv1.StatefulSet) Ordinals {
	start := int64(ptr.Deref(set.Spec.Ordinals, appsv1.StatefulSetOrdinals{}).Start)
	return Ordinals{start, start + int64(ptr.Deref(set.Spec.Replicas, 1))}
}

// Count is the number of replicas.
func (r Ordinals) Count() int64 { return max(0, r.End-r.Start) }

// Has tells whether the ordinal is among them.
func (r Ordinals) Has(n int64) bool { return r.Start <= n && n < r.End }

// Overlap returns the ordinals that both ranges have.
func (r Ordinals) Overlap(other Ordinals) Ordinals {
	both := Ordinals{max(r.Start, other.Start), min(r.End, other.End)}
	if both.Count() == 0 {
		return Ordinals{}
	}
	return both
}

// Minus returns the ordinals of r that other does not have: those below it and those above it.
func (r Ordinals) Minus(other Ordinals) Ranges {
	both := r.Overlap(other)
	if both.Count() == 0 {
		return Ranges{r}.compact()
	}
	return Ranges{{r.Start, both.Start}, {both.End, r.End}}.compact()
}

// Ranges are ordinals with gaps.
type Ranges []Ordinals

// One is the range of a single ordinal.
func One(n int64) Ordinals { return Ordinals{n, n + 1} }

func (rs Ranges) compact() Ranges {
	return slices.DeleteFunc(rs, func(r Ordinals) bool { return r.Count() == 0 })
}

// Count is the number of ordinals.
func (rs Ranges) Count() int64 {
	var n int64
	for _, r := range rs {
		n += r.Count()
	}
	return n
}

// Has tells whether the ordinal is among them.
func (rs Ranges) Has(n int64) bool {
	return slices.ContainsFunc(rs, func(r Ordinals) bool { return r.Has(n) })
}

// All yields the ordinals, ascending.
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

// PodNames lists the names of the Pods of these ordinals.
func PodNames(set *appsv1.StatefulSet, of Ranges) string {
	return words.Enumerate(func(yield func(string) bool) {
		for n := range of.All() {
			if !yield(PodName(set, n)) {
				return
			}
		}
	}, of.Count())
}

// PodName is the name of the Pod of an ordinal.
func PodName(set *appsv1.StatefulSet, n int64) string { return fmt.Sprintf("%s-%d", set.Name, n) }

// OrdinalIn returns the ordinal in a name of the form parent-ordinal, or false where the name has another form.
func OrdinalIn(name, parent string) (int64, bool) {
	before, n, ok := CutOrdinal(name)
	return n, ok && before == parent
}

// CutOrdinal cuts the ordinal off a name, or tells that it ends in none.
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
