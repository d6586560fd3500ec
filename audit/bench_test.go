package audit

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
)

// BenchmarkJudge judges a namespace of ten StatefulSets with thirty claims. That and the lists are the whole time of an audit.
func BenchmarkJudge(b *testing.B) {
	judges, err := policies.Compile(rules.All, nil, "baseline")
	if err != nil {
		b.Fatal(err)
	}
	v := newCluster(b.Context(), &shared{unknown: &unknown{}}, "a")
	for i := range 10 {
		name := fmt.Sprintf("s%d", i)
		o := set("a", name)
		v.add(o)
		v.add(service("a", name))
		for n := range 3 {
			v.add(claimOf(fmt.Sprintf("data-%s-%d", name, n), "v"))
		}
	}
	for b.Loop() {
		if _, err := v.judge(judges, labels.Everything(), policies.Clock{}); err != nil {
			b.Fatal(err)
		}
	}
}
