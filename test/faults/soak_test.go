package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/test/harness"
)

// gauges are the metrics that must not grow, with a margin for small numbers.
var gauges = []struct {
	name, metric string
	unit, slack  float64
}{
	{"goroutines", "go_goroutines", 1, 50},
	{"memory (MiB)", "process_resident_memory_bytes", 1 << 20, 48},
	{"file descriptors", "process_open_fds", 1, 30},
}

// TestSoak runs a mixed load while things around the first replica break repeatedly, and checks that its memory does not grow.
func TestSoak(t *testing.T) {
	startShared(t)
	tally := harness.Tally{}
	around := []fault{faults[1], {"the API server restarted", faults[5].breaks, false, ""}, {"etcd hangs for a second", hang(time.Second), false, ""}}
	rows := []string{"| minute | goroutines | memory (MiB) | file descriptors | after |", "| --- | --- | --- | --- | --- |"}
	samples := make([][]float64, len(gauges))
	before := *calm
	*calm = min(*calm, *soak/12)
	defer func() { *calm = before }()
	start := time.Now()
	for i := 0; time.Since(start) < *soak; i++ {
		f := around[i%len(around)]
		load, err := harness.StartLoad(shared.Kubeconfig, perSecond)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(*soak / 12)
		f.breaks(t)
		time.Sleep(*calm)
		part := load.Stop()
		tally.Requests += part.Requests
		tally.WronglyAdmitted += part.WronglyAdmitted
		tally.WronglyRefused += part.WronglyRefused
		tally.Unanswered += part.Unanswered
		if part.WronglyAdmitted+part.WronglyRefused > part.CutOff {
			t.Errorf("after %s: %s", f.name, part)
		}
		cells := []string{fmt.Sprintf("%.1f", time.Since(start).Minutes())}
		for g, gauge := range gauges {
			value, err := shared.Metric(t.Context(), gauge.metric)
			if err != nil {
				t.Fatal(err)
			}
			samples[g] = append(samples[g], value/gauge.unit)
			cells = append(cells, fmt.Sprintf("%.0f", value/gauge.unit))
		}
		rows = append(rows, fmt.Sprintf("| %s | %s |", strings.Join(cells, " | "), f.name))
	}
	t.Logf("%d requests, %d wrongly refused, %d wrongly admitted, %d unanswered\n%s",
		tally.Requests, tally.WronglyRefused, tally.WronglyAdmitted, tally.Unanswered, strings.Join(rows, "\n"))
	for g, gauge := range gauges {
		// A value may return to its early maximum, but not far above it.
		third := max(1, len(samples[g])/3)
		early, late := slices.Max(samples[g][:third]), slices.Min(samples[g][len(samples[g])-third:])
		if late > 1.2*early+gauge.slack {
			t.Errorf("%s grow: %.0f at first, %.0f at last", gauge.name, early, late)
		}
	}
}
