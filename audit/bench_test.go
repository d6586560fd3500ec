package audit

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
)

// BenchmarkJudge judges namespaces of StatefulSets with three claims each. That and the lists are the whole time of an audit. The time
// for a StatefulSet does not grow with their number.
func BenchmarkJudge(b *testing.B) {
	judges, err := policies.Compile(rules.All, nil, "baseline")
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{10, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				v := newCluster(b.Context(), &shared{unknown: &unknown{}}, "a")
				for i := range size {
					name := fmt.Sprintf("s%d", i)
					v.add(set("a", name))
					v.add(service("a", name))
					for n := range 3 {
						v.add(claimOf(fmt.Sprintf("data-%s-%d", name, n), "v"))
					}
				}
				b.StartTimer()
				if _, err := v.judge(judges, labels.Everything(), policies.Clock{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/StatefulSet")
		})
	}
}
