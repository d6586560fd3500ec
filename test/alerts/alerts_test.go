// Package alerts plays the chart's alerts with Prometheus' own rule engine.
package alerts

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

const file = "../../deploy/chart/files/alerts.yaml"

type timeline struct {
	alert, name, series string
	fires, silent       []int
}

// cases are series with a sample a minute, and the minutes at which the alert must and must not fire.
var cases = []timeline{
	{"MooringAbsent", "scraped, then not", `mooring_policies{instance="a"} 1x10 _x40`, []int{30}, []int{5, 12}},
	{"MooringUnreachable", "calls fail from minute 10 on",
		`apiserver_admission_webhook_rejection_count{name="guard.mooring.dev",error_type="calling_webhook_error"} 0x10 0+3x30`, []int{20}, []int{5, 11}},
	{"MooringUnreachable", "Mooring's own refusals, and another webhook's failures", `apiserver_admission_webhook_rejection_count{name="guard.mooring.dev",error_type="no_error"} 0+3x40
		apiserver_admission_webhook_rejection_count{name="a.example",error_type="calling_webhook_error"} 0+3x40`, nil, []int{20, 40}},
	{"MooringGuardOff", "not reached", `mooring_guard_registered{instance="a"} 0x40
		mooring_guard_registered{instance="b"} 0x40`, []int{15}, []int{5}},
	{"MooringGuardOff", "reached; the replica that does not lead says 0", `mooring_guard_registered{instance="a"} 1x40
		mooring_guard_registered{instance="b"} 0x40`, nil, []int{15, 40}},
	{"MooringReviewsFail", "errors from minute 10 on", `mooring_reviews_total{webhook="validate",outcome="error"} 0x10 0+1x40`, []int{25}, []int{5, 15}},
	{"MooringReviewsFail", "denials", `mooring_reviews_total{webhook="validate",outcome="denied"} 0+9x40`, nil, []int{25, 40}},
	{"MooringPanics", "one, at minute 10", `mooring_panics_total{webhook="validate"} 0x10 1x100`, []int{12, 60}, []int{5, 100}},
	{"MooringSlow", "all take two seconds", `mooring_review_duration_seconds_bucket{webhook="validate",le="1"} 0x40
		mooring_review_duration_seconds_bucket{webhook="validate",le="2.5"} 0+60x40
		mooring_review_duration_seconds_bucket{webhook="validate",le="+Inf"} 0+60x40`, []int{20}, []int{5}},
	{"MooringSlow", "all take less than one", `mooring_review_duration_seconds_bucket{webhook="validate",le="1"} 0+60x40
		mooring_review_duration_seconds_bucket{webhook="validate",le="+Inf"} 0+60x40`, nil, []int{20, 40}},
	{"MooringPoliciesInvalid", "one from minute 10 on", `mooring_policies_invalid 0x10 1x40`, []int{20}, []int{5, 12}},
	{"MooringCertificateExpires", "two days left", `mooring_certificate_expiry_timestamp_seconds{certificate="leaf"} 172800x100`, []int{90}, []int{30}},
	{"MooringCertificateExpires", "a month left", `mooring_certificate_expiry_timestamp_seconds{certificate="leaf"} 2592000x100`, nil, []int{90}},
	{"MooringScanFails", "every minute", `mooring_scan_errors_total 0+1x120`, []int{100}, []int{30}},
	{"MooringScanFails", "once", `mooring_scan_errors_total 0x10 1x120`, nil, []int{30, 100}},
	{"MooringBypassed", "the first ever: its series begins at 1", `mooring_bypasses_total{rule="scale-down",policy="baseline"} _x30 1x60`, []int{31, 40}, []int{20, 50, 80}},
	{"MooringBypassed", "a second one", `mooring_bypasses_total{rule="scale-down",policy="baseline"} 1x60 2x60`, []int{62, 70}, []int{40, 100}},
}

func TestAlerts(t *testing.T) {
	groups := load(t)
	for _, c := range cases {
		t.Run(c.alert+": "+c.name, func(t *testing.T) {
			storage := promqltest.LoadedStorage(t, "load 1m\n"+regexp.MustCompile(`(?m)^\s*`).ReplaceAllString(c.series, "  "))
			query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery), storage)
			rule := named(t, groups, c.alert)
			last := slices.Max(slices.Concat(c.fires, c.silent))
			for minute := range last + 1 {
				if _, err := rule.Eval(t.Context(), 0, time.Unix(int64(minute)*60, 0).UTC(), query, nil, 0); err != nil {
					t.Fatal(err)
				}
				fires := slices.ContainsFunc(rule.ActiveAlerts(), func(a *rules.Alert) bool { return a.State == rules.StateFiring })
				if !fires && slices.Contains(c.fires, minute) {
					t.Errorf("is silent after %d minutes", minute)
				}
				if fires && slices.Contains(c.silent, minute) {
					t.Errorf("fires after %d minutes", minute)
				}
			}
		})
	}
}

// TestEachAlertIsPlayed checks that every alert has a case in which it fires, and a runbook.
func TestEachAlertIsPlayed(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range load(t).Groups {
		for _, rule := range group.Rules {
			if !slices.ContainsFunc(cases, func(c timeline) bool { return c.alert == rule.Alert && len(c.fires) > 0 }) {
				t.Errorf("%s never fires here", rule.Alert)
			}
			if want := "docs/operating/monitoring.md#" + strings.ToLower(rule.Alert); !strings.HasSuffix(rule.Annotations["runbook_url"], want) {
				t.Errorf("%s: the runbook is %q, want …%s", rule.Alert, rule.Annotations["runbook_url"], want)
			}
			if !strings.Contains(string(page), "\n### "+rule.Alert+"\n") {
				t.Errorf("the page has no runbook for %s", rule.Alert)
			}
		}
	}
}

func load(t *testing.T) *rulefmt.RuleGroups {
	t.Helper()
	groups, errs := rulefmt.ParseFile(filepath.FromSlash(file), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return groups
}

// named returns an alert as Prometheus evaluates it.
func named(t *testing.T, groups *rulefmt.RuleGroups, alert string) *rules.AlertingRule {
	t.Helper()
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert != alert {
				continue
			}
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			none := labels.EmptyLabels()
			return rules.NewAlertingRule(alert, expr, time.Duration(r.For), 0, labels.FromMap(r.Labels), labels.FromMap(r.Annotations), none, "", true, slog.New(slog.DiscardHandler))
		}
	}
	t.Fatalf("there is no alert %s", alert)
	return nil
}
