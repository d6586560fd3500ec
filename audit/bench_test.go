package audit

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
)

// BenchmarkJudge judges a namespace of ten StatefulSets with thirty claims, which is what is left of an audit's time besides
// the listing.
func BenchmarkJudge(b *testing.B) {
	policies, err := policies.Compile(nil, "baseline")
	if err != nil {
		b.Fatal(err)
	}
	v := newView(b.Context(), &surroundings{unknown: &unknown{}}, "a")
	for i := range 10 {
		name := fmt.Sprintf("s%d", i)
		o := set("a", name)
		o.SetGroupVersionKind(statefulSets.GroupVersionKind)
		v.add(o)
		v.add(service("a", name))
		for n := range 3 {
			v.add(claimOf(fmt.Sprintf("data-%s-%d", name, n), "v"))
		}
	}
	v.settle()
	for b.Loop() {
		if _, err := v.judge(policies, labels.Everything()); err != nil {
			b.Fatal(err)
		}
		if _, err := v.observe(patience{}, labels.Everything(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
