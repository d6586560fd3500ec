package policies_test

import (
	"testing"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
)

// BenchmarkRules judges each rule's cases, all of them in one go, under that rule alone.
func BenchmarkRules(b *testing.B) {
	for _, rule := range rules.All {
		b.Run(rule.ID, func(b *testing.B) {
			cases, err := ruletest.Of(rule)
			if err != nil {
				b.Fatal(err)
			}
			var judge []func() (policies.Verdict, error)
			for _, c := range cases {
				play, err := c.Build()
				if err != nil {
					b.Fatal(err)
				}
				set, err := play.Set()
				if err != nil {
					b.Fatal(err)
				}
				judge = append(judge, func() (policies.Verdict, error) { return play.Judge(set) })
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, one := range judge {
					if _, err := one(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
