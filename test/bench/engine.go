package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// engine runs the Go benchmarks of whole reviews and of decoding alone, and shows where the time goes.
func (b *bench) engine(ctx context.Context) error {
	binary := filepath.Join(b.Dir, "webhooks.test")
	webhooks := filepath.Join("..", "webhooks")
	if out, err := exec.CommandContext(ctx, "go", "test", "-C", webhooks, "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("building the benchmarks: %w\n%s", err, out)
	}
	run := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, binary, append([]string{"-test.run=^$", "-test.benchtime=" + b.each.String()}, args...)...)
		cmd.Dir = webhooks
		return cmd.Output()
	}
	nanoseconds := map[string]figures{}
	for range b.rounds {
		out, err := run("-test.bench=Review/(decode|baseline)/")
		if err != nil {
			return err
		}
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			var name string
			var n int
			var ns float64
			if _, err := fmt.Sscan(lines.Text(), &name, &n, &ns); err == nil {
				// The name ends with the number of cores.
				name = strings.TrimPrefix(name[:strings.LastIndexByte(name, '-')], "BenchmarkReview/")
				nanoseconds[name] = append(nanoseconds[name], ns)
			}
		}
	}
	rows := [][]string{{"review", "decoded", "answered", "of decoding"}}
	for _, name := range []string{"database-create", "database-grow", "database-update", "scale-up", "claim-create"} {
		alone, whole := nanoseconds["decode/"+name], nanoseconds["baseline/validate/"+name]
		if len(alone) == 0 || len(alone) != len(whole) {
			return fmt.Errorf("no benchmark of %s", name)
		}
		if name == "database-create" {
			b.aim("engine: a whole review of a StatefulSet's creation, of the time of decoding it", whole.over(alone), atMost, 1.5, "%.2f")
		}
		rows = append(rows, []string{
			name, fmt.Sprintf("%.1f µs", alone.median()/1000), fmt.Sprintf("%.1f µs", whole.median()/1000), whole.over(alone).spread("%.2f"),
		})
	}
	b.table("The engine alone", "A review is read, judged under baseline and answered in memory. For comparison, the same review is only read into its "+
		"typed objects. Both use the same decoder.", rows)

	profile := filepath.Join(b.Dir, "cpu.out")
	if _, err := run("-test.bench=Review/baseline/validate/database-create", "-test.cpuprofile="+profile, "-test.benchtime=5s"); err != nil {
		return err
	}
	top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodecount=30", "-hide=^testing|^net/http", binary, profile).Output()
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nWhere the time of database-create goes, by `go tool pprof -top -cum -hide='^testing|^net/http'`:\n\n```\n%s```\n", top)
	return nil
}
