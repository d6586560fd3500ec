package manifests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
)

// BenchmarkCorpus loads and judges the charts that MOORING_CORPUS names.
func BenchmarkCorpus(b *testing.B) {
	charts, _ := filepath.Glob(filepath.Join(os.Getenv("MOORING_CORPUS"), "*.yaml"))
	if len(charts) == 0 {
		b.Skip("MOORING_CORPUS names no folder of charts")
	}
	set, err := policies.Compile(rules.All, nil, "baseline")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			Loader{Sparse: true}.Load(charts...)
		}
	})
	b.Run("load and judge", func(b *testing.B) {
		for b.Loop() {
			Loader{Sparse: true}.Load(charts...).Judge(Judgement{Policies: set})
		}
	})
}
