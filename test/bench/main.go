// Command bench measures Mooring against a minimal webhook, and writes the tables as Markdown: over HTTPS, through a real API
// server, in memory, and from start to ready. Compared values are measured in turn within one run, so that other load affects all.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// bench is a control plane with Mooring, and the sizes to measure.
type bench struct {
	*harness.Installation
	out     io.Writer
	rounds  int
	each    time.Duration
	objects int
	sizes   []int
	// namespaceSizes are the numbers of StatefulSets in a namespace.
	namespaceSizes []int
	// changes is how long objects of the large cluster change.
	changes time.Duration
	aims    [][]string
}

func main() {
	// The measured processes are this program with a subcommand.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "noop":
			exit(noop())
		case "cache":
			exit(fillCache(os.Args[2:]))
		}
	}
	b := bench{out: os.Stdout}
	parts := flag.String("parts", "engine,https,apiserver,start,memory,fleet", "what to measure; growth besides")
	flag.IntVar(&b.rounds, "rounds", 5, "how often everything is measured; the tables give medians, and the least and the most")
	flag.DurationVar(&b.each, "time", time.Second, "how long one measurement over HTTPS takes")
	flag.IntVar(&b.objects, "objects", 500, "how many StatefulSets a round creates and updates through the API server")
	most := flag.Int("most", 50_000, "how many objects of a kind are cached at most")
	inNamespace := flag.Int("namespace", 5_000, "how many StatefulSets one namespace holds at most")
	flag.DurationVar(&b.changes, "changes", 10*time.Minute, "how long the objects of the large cluster change, 10,000 a minute")
	flag.Parse()
	for _, size := range []int{10, 100, 1_000, 5_000} {
		if size <= *inNamespace {
			b.namespaceSizes = append(b.namespaceSizes, size)
		}
	}
	for _, size := range []int{1_000, 10_000, 50_000} {
		if size <= *most {
			b.sizes = append(b.sizes, size)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(b.run(ctx, strings.Split(*parts, ",")))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (b *bench) run(ctx context.Context, parts []string) error {
	cp, err := controlplane.Run(ctx, controlplane.Options{WithoutControllers: true})
	if err != nil {
		return err
	}
	defer cp.Stop()
	// As in a container of the chart, for the no-op too, but not for the control plane.
	if err := errors.Join(os.Setenv("GOGC", "400"), os.Setenv("GOMEMLIMIT", "460MiB")); err != nil {
		return err
	}
	b.Installation, err = harness.On(ctx, cp, harness.Options{Values: map[string]any{
		// For the compared namespaces, Mooring's webhook is only called directly.
		"webhook": map[string]any{"excludedNamespaces": []any{plain, floor, vap, grownPlain}},
	}})
	if err != nil {
		return err
	}
	defer b.Stop()
	fmt.Fprintln(b.out, b.machine())
	// The targets are known last and are printed first.
	out, tables := b.out, &bytes.Buffer{}
	b.out = tables
	err = b.measure(ctx, parts)
	if b.out = out; len(b.aims) > 0 {
		b.table("Targets", "The tables below have all results.", append([][]string{{"what", "target", "measured", ""}}, b.aims...))
	}
	_, failed := tables.WriteTo(out)
	return errors.Join(err, failed)
}

func (b *bench) measure(ctx context.Context, parts []string) error {
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{"engine", b.engine}, {"https", b.https}, {"apiserver", b.apiserver}, {"start", b.start}, {"memory", b.memory}, {"fleet", b.fleet}, {"growth", b.growth}} {
		if !slices.Contains(parts, part.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench: measuring", part.name)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// machine describes the machine.
func (b *bench) machine() string {
	cpu := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name\t: "); ok {
			cpu, _, _ = strings.Cut(rest, "\n")
		}
	}
	var total int
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		_, _ = fmt.Sscanf(string(info), "MemTotal: %d kB", &total)
	}
	return fmt.Sprintf("%s: %d cores of %s, %d GiB of memory, %s %s/%s, Kubernetes %s; %d rounds.",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), cpu, (total+1<<19)>>20, runtime.Version(), runtime.GOOS, runtime.GOARCH,
		controlplane.DefaultVersion, b.rounds)
}

// table writes a Markdown table under a heading.
func (b *bench) table(heading, explanation string, rows [][]string) {
	fmt.Fprintf(b.out, "\n## %s\n\n%s\n\n", heading, explanation)
	for i, row := range rows {
		fmt.Fprintf(b.out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(b.out, "|%s\n", strings.Repeat(" --- |", len(row)))
		}
	}
}

// aim records whether a value meets its aim.
func (b *bench) aim(what string, is figures, relation string, bound float64, format string) {
	met := "missed"
	if m := is.median(); relation == atMost && m <= bound || relation == atLeast && m >= bound {
		met = "met"
	}
	b.aims = append(b.aims, []string{what, relation + " " + fmt.Sprintf(format, bound), is.spread(format), met})
}

const (
	atMost  = "at most"
	atLeast = "at least"
)

// self returns a command of this program.
func self(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = os.Stderr
	return cmd, nil
}
