package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"

	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/mooring-dev/mooring/deploy"
	"github.com/mooring-dev/mooring/test/harness"
)

// violation is a StatefulSet without a Service, where that only draws a warning.
const violation = `
apiVersion: v1
kind: Namespace
metadata: {name: violation, labels: {mooring.dev/mode: warn}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: queue, namespace: violation}
spec:
  serviceName: queue
  selector: {matchLabels: {app: queue}}
  template:
    metadata: {labels: {app: queue}}
    spec: {containers: [{name: queue, image: example/queue}]}
`

// monitored checks that the dashboard's and the alerts' queries are valid, that Mooring and the API server serve their metrics and
// labels after the demo with a violation, and that each panel shows something then.
func monitored(t *testing.T, in *harness.Installation) {
	if _, err := in.Apply(t.Context(), violation); err != nil {
		t.Fatal(err)
	}
	var ofMooring string
	err := harness.Await(t.Context(), func(ctx context.Context) (err error) {
		if ofMooring, err = harness.Get(ctx, in.Metrics+"/metrics"); err == nil && !strings.Contains(ofMooring, "mooring_violations{") {
			err = errors.New("the scanner has found nothing")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ofAPIServer, err := in.Kubectl(t.Context(), "get", "--raw", "/metrics").Output()
	if err != nil {
		t.Fatal(err)
	}
	served := scraped(t, ofMooring+string(ofAPIServer))
	expressions := append(dashboardQueries(t), alertQueries(t)...)
	for _, expression := range expressions {
		t.Run(expression, func(t *testing.T) { servedBy(t, expression, served) })
	}
	t.Logf("%d queries name only what was served", len(expressions))
	shown(t, ofMooring, string(ofAPIServer))
}

// shown evaluates each query of the dashboard with Prometheus' engine, minutes after the metrics first appeared: single events must
// show in a panel too.
func shown(t *testing.T, ofMooring, ofAPIServer string) {
	var load strings.Builder
	load.WriteString("load 1m\n")
	for job, text := range map[string]string{"mooring": ofMooring, "apiserver": ofAPIServer} {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "#") || !strings.HasPrefix(line, "mooring_") && !strings.HasPrefix(line, "process_") && !strings.HasPrefix(line, "apiserver_admission_webhook_") {
				continue
			}
			at := strings.LastIndex(line, " ")
			name, labels, _ := strings.Cut(strings.TrimSuffix(line[:at], "}"), "{")
			fmt.Fprintf(&load, "  %s{job=%q,instance=%q,%s} _x5 %sx10\n", name, job, job, labels, strings.TrimSpace(line[at:]))
		}
	}
	storage := promqltest.LoadedStorage(t, load.String())
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	for _, expression := range dashboardQueries(t) {
		query, err := engine.NewInstantQuery(t.Context(), storage, nil, expression, time.Unix(8*60, 0))
		if err != nil {
			t.Fatal(err)
		}
		vector, err := query.Exec(t.Context()).Vector()
		if err != nil || len(vector) == 0 {
			t.Errorf("%s shows nothing: %v", expression, err)
		}
		query.Close()
	}
}

// scraped returns the labels of each metric.
func scraped(t *testing.T, text string) map[string]map[string]bool {
	t.Helper()
	metrics := map[string]map[string]bool{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series, err := parser.NewParser(parser.Options{}).ParseMetric(line[:strings.LastIndex(line, " ")])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name := series.Get(model.MetricNameLabel)
		if metrics[name] == nil {
			// Prometheus adds these; the last if it serves several clusters.
			metrics[name] = map[string]bool{model.MetricNameLabel: true, model.JobLabel: true, model.InstanceLabel: true, "cluster": true}
		}
		series.Range(func(l labels.Label) { metrics[name][l.Name] = true })
	}
	return metrics
}

// servedBy fails the test unless the expression uses only metrics and labels that are served.
func servedBy(t *testing.T, expression string, served map[string]map[string]bool) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		if served[selector.Name] == nil {
			t.Errorf("nobody serves %s", selector.Name)
			return nil
		}
		maps.Copy(known, served[selector.Name])
		for _, m := range selector.LabelMatchers {
			if !served[selector.Name][m.Name] {
				t.Errorf("%s has no label %s, but %v", selector.Name, m.Name, slices.Sorted(maps.Keys(served[selector.Name])))
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if sum, ok := node.(*parser.AggregateExpr); ok {
			for _, label := range sum.Grouping {
				if !known[label] {
					t.Errorf("nothing has a label %s to group by, but %v", label, slices.Sorted(maps.Keys(known)))
				}
			}
		}
		return nil
	})
}

// rendered decodes the object of the kind that the chart renders with monitoring on.
func rendered(t *testing.T, kind string, into any) {
	t.Helper()
	on := map[string]any{"enabled": true}
	manifests, err := deploy.Render(map[string]any{"dashboard": on, "alerts": on}, deploy.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(manifests), "\n---") {
		if strings.Contains(document, "\nkind: "+kind+"\n") && strings.Contains(document, "name: mooring") {
			if err := yaml.Unmarshal([]byte(document), into); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("the chart has no %s", kind)
}

func dashboardQueries(t *testing.T) []string {
	t.Helper()
	var config struct{ Data map[string]string }
	rendered(t, "ConfigMap", &config)
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(config.Data["mooring.json"]), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			// Grafana replaces these.
			all = append(all, strings.NewReplacer("$__rate_interval", "5m", "$__range", "1d", "$cluster", ".*", "$namespace", ".*").Replace(target.Expr))
		}
	}
	return all
}

func alertQueries(t *testing.T) []string {
	t.Helper()
	var rule struct{ Spec json.RawMessage }
	rendered(t, "PrometheusRule", &rule)
	groups, errs := rulefmt.Parse(rule.Spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []string
	for _, group := range groups.Groups {
		for _, r := range group.Rules {
			all = append(all, r.Expr)
		}
	}
	return all
}
