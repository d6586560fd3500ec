package policies

import "testing"

// BenchmarkRules judges each rule's cases, all of them in one go, under that rule alone.
func BenchmarkRules(b *testing.B) {
	for _, rule := range Rules {
		b.Run(rule.ID, func(b *testing.B) {
			var judge []func() (Verdict, error)
			for _, c := range rule.Cases {
				set, ch, world, err := c.prepare(rule)
				if err != nil {
					b.Fatal(err)
				}
				judge = append(judge, func() (Verdict, error) { return set.Judge(ch, world) })
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

// BenchmarkSelect chooses the policies for a change.
func BenchmarkSelect(b *testing.B) {
	set, ch, world, err := headlessService.Cases[0].prepare(headlessService)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if chosen, err := set.selectFor(ch, world); err != nil || len(chosen) != 1 {
			b.Fatal(chosen, err)
		}
	}
}
