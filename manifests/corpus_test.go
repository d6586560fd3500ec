package manifests

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/report"
)

// corpus returns the rendered charts that MOORING_CORPUS names, or skips the test.
func corpus(t *testing.T) []string {
	t.Helper()
	charts, err := filepath.Glob(filepath.Join(os.Getenv("MOORING_CORPUS"), "*.yaml"))
	if os.Getenv("MOORING_CORPUS") == "" || err != nil || len(charts) == 0 {
		t.Skip("MOORING_CORPUS names no folder of charts")
	}
	return charts
}

func judgeChart(t *testing.T, chart, profile string) (*Set, report.Report) {
	t.Helper()
	by, err := policies.Compile(rules.All, nil, profile)
	if err != nil {
		t.Fatal(err)
	}
	set := Loader{}.Load(chart)
	r := set.Judge(Judgement{Policies: by})
	for _, e := range r.Errors {
		t.Error(e)
	}
	return set, r
}

// TestCorpusPositions checks that the line and column of every finding are those of its field, or of the innermost existing parent.
// It reads the text, not the parser's tree.
func TestCorpusPositions(t *testing.T) {
	checked := 0
	for _, chart := range corpus(t) {
		set, r := judgeChart(t, chart, "restricted")
		lines := strings.Split(string(set.Files[0].Data), "\n")
		for _, f := range r.Findings {
			at := f.Position
			if at.Line < 1 || at.Line > len(lines) || at.Column < 1 || at.Column > len(lines[at.Line-1]) {
				t.Errorf("%s: %s is outside of the file", at, f.ID())
				continue
			}
			if checked++; !holdsField(lines, at.Line, at.Column, f.Path) {
				t.Errorf("%s: %s about %s, and there stands %q", at, f.ID(), f.Path, lines[at.Line-1])
			}
			if f.Object.Name == "" || !quotes(f, lines) {
				t.Errorf("%s: %s quotes %v", at, f.ID(), f.Lines)
			}
		}
	}
	t.Logf("%d findings", checked)
}

var segment = regexp.MustCompile(`\[(\d+)\]|[^.\[\]]+`)

// holdsField reports whether the path, or its existing part, leads to this place. It goes up from there: each less indented key
// must be the previous segment.
func holdsField(lines []string, line, column int, path string) bool {
	var names []string
	for _, s := range segment.FindAllString(path, -1) {
		if !strings.HasPrefix(s, "[") {
			names = append(names, s)
		}
	}
	var above []string
	indent := column
	for i := line - 1; i >= 0 && !strings.HasPrefix(lines[i], "---"); i-- {
		text := strings.TrimLeft(lines[i], " -")
		at := len(lines[i]) - len(text) + 1
		if i == line-1 {
			at = column
			text = lines[i][column-1:]
		}
		key, _, isKey := strings.Cut(text, ":")
		if isKey && (i == line-1 || at < indent) && !strings.HasPrefix(text, "#") && !strings.ContainsAny(key, " {}") {
			above = append([]string{strings.Trim(key, `"'`)}, above...)
			indent = at
		}
	}
	// The place is the field or a parent of it; the root is the first key.
	return len(above) <= len(names) && slices.Equal(above, names[:len(above)])
}

func quotes(f report.Finding, lines []string) bool {
	return slices.ContainsFunc(f.Lines, func(l report.Line) bool {
		return l.Offending && l.Number == f.Position.Line && strings.TrimRight(lines[l.Number-1], "\r") == l.Text
	})
}

// TestCorpusSparse checks that skipping parts of Pod templates makes no difference.
func TestCorpusSparse(t *testing.T) {
	by, err := policies.Compile(rules.All, nil, "restricted")
	if err != nil {
		t.Fatal(err)
	}
	for _, chart := range corpus(t) {
		_, whole := judgeChart(t, chart, "restricted")
		short := Loader{Sparse: true}.Load(chart)
		if diff := cmp.Diff(whole, short.Judge(Judgement{Policies: by})); diff != "" {
			t.Errorf("%s (-whole +sparse)\n%s", chart, diff)
		}
		for _, d := range short.Documents() {
			if set, ok := d.Object.(*appsv1.StatefulSet); ok && len(set.Spec.Template.Spec.Containers[0].Env) > 0 {
				t.Logf("%s: the environment of %s is in flow style", chart, set.Name)
			}
		}
	}
}

// TestCorpusCounts prints the number of findings of each rule in each chart, for make corpus.
func TestCorpusCounts(t *testing.T) {
	for _, profile := range []string{"baseline", "restricted"} {
		table := map[string]map[string]int{}
		sets := 0
		for _, chart := range corpus(t) {
			_, r := judgeChart(t, chart, profile)
			sets += r.StatefulSets
			counts := map[string]int{}
			for _, f := range r.Findings {
				counts[f.Rule+" "+strings.ToLower(string(f.Action))]++
			}
			table[strings.TrimSuffix(filepath.Base(chart), ".yaml")] = counts
		}
		totals := map[string]int{}
		var out strings.Builder
		for _, chart := range slices.Sorted(maps.Keys(table)) {
			fmt.Fprintf(&out, "  %s:", chart)
			for _, rule := range slices.Sorted(maps.Keys(table[chart])) {
				fmt.Fprintf(&out, " %s %d;", rule, table[chart][rule])
				totals[rule] += table[chart][rule]
			}
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "  all %d charts, %d StatefulSets:\n", len(table), sets)
		for _, rule := range slices.Sorted(maps.Keys(totals)) {
			fmt.Fprintf(&out, "    %4d %s\n", totals[rule], rule)
		}
		t.Logf("profile %s\n%s", profile, &out)
	}
}

// TestCorpusHeadlessService has the results of reading the charts by hand: every finding of headless-service was compared with the
// Service and the StatefulSet.
func TestCorpusHeadlessService(t *testing.T) {
	var got []string
	for _, chart := range corpus(t) {
		_, r := judgeChart(t, chart, "baseline")
		for _, f := range r.Findings {
			if f.Rule == "headless-service" {
				got = append(got, fmt.Sprintf("%s %s %s", filepath.Base(chart), f.Object.Name, f.Check))
			}
		}
	}
	if !slices.Equal(got, readByHand) {
		t.Errorf("got\n%s\nread by hand\n%s", strings.Join(got, "\n"), strings.Join(readByHand, "\n"))
	}
}

// These four name a Service with a cluster IP, or one that is not in the chart.
var readByHand = []string{
	"airflow.yaml rel-airflow-triggerer not-headless",
	"grafana-loki.yaml rel-grafana-loki-ingester not-headless",
	"grafana-loki.yaml rel-grafana-loki-querier not-headless",
	"prometheus.yaml rel-prometheus-alertmanager missing",
}
