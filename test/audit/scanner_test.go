package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"

	"github.com/mooring-dev/mooring/test/harness"
)

// queue is a StatefulSet without a Service, which violates a rule of the baseline. It is created in a namespace where that only
// warns, because the webhook would refuse it.
const queue = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: queue, namespace: %s}
spec:
  replicas: 1
  serviceName: queue
  selector: {matchLabels: {app: queue}}
  template:
    metadata: {labels: {app: queue}}
    spec: {containers: [{name: queue, image: example/queue, readinessProbe: {tcpSocket: {port: 1}}}]}
`

const queueService = `
apiVersion: v1
kind: Service
metadata: {name: queue, namespace: %s}
spec: {clusterIP: None, selector: {app: queue}, ports: [{port: 1}]}
`

// TestScanner follows a namespace from clean to violation and back, with each of the two APIs.
func TestScanner(t *testing.T) {
	openReports, workingGroup, err := harness.ReportDefinitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("without an API: metrics alone", func(t *testing.T) {
		await(t, "the scanner to say so", func() error { return logged("the cluster has no API for policy reports") })
		violate(t, "none")
		await(t, "the violation in the metrics", func() error {
			return equal(violations(t, "headless-service", "Warn", "none"), 1)
		})
	})
	t.Run("wgpolicyk8s.io", func(t *testing.T) {
		install(t, workingGroup)
		await(t, "the scanner to find it", func() error { return logged("policy reports are written", "wgpolicyk8s.io/v1alpha2") })
		follow(t, "wg", "policyreports.wgpolicyk8s.io")
	})
	t.Run("openreports.io, which is preferred", func(t *testing.T) {
		install(t, openReports)
		await(t, "the scanner to find it", func() error { return logged("policy reports are written", "openreports.io/v1alpha1") })
		follow(t, "open", "reports.openreports.io")

		t.Run("an unchanged cluster causes no writes", func(t *testing.T) {
			violate(t, "quiet")
			await(t, "the report", func() error { _, err := read("quiet", "reports.openreports.io"); return err })
			await(t, "the cluster to come to rest", func() error {
				writes := reportWrites(t)
				scansLater(t, 3)
				return equal(reportWrites(t), writes)
			})
			writes, scans := reportWrites(t), value(t, "mooring_scans_total")
			scansLater(t, 5)
			if now := reportWrites(t); now != writes {
				t.Errorf("the API server counts %v writes of reports in an unchanged cluster", now-writes)
			}
			t.Logf("%v scans of everything, %v writes at the API server before and after", value(t, "mooring_scans_total")-scans, writes)
		})
		t.Run("a deleted report is written again", func(t *testing.T) {
			violate(t, "meddled")
			await(t, "the report", func() error { _, err := read("meddled", "reports.openreports.io"); return err })
			kubectl(t, "", "-n", "meddled", "delete", "reports.openreports.io", "mooring")
			await(t, "the report again", func() error { _, err := read("meddled", "reports.openreports.io"); return err })
		})
		t.Run("a policy in mode Audit is in metrics and report, without a warning", func(t *testing.T) {
			namespace(t, "candidate")
			kubectl(t, `{apiVersion: mooring.dev/v1alpha1, kind: StatefulPolicy, metadata: {name: candidate}, spec: {mode: Audit,
  match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: candidate}}}, rules: {updateStrategy: {action: Deny, require: OnDelete}}}}`, "apply", "-f", "-")
			t.Cleanup(func() {
				_, _ = cluster.Run(context.Background(), cluster.Kubeconfig, "", "delete", "statefulpolicy", "candidate")
			})
			await(t, "the finding in the metrics", func() error {
				out := kubectl(t, fmt.Sprintf(queueService+"---"+queue, "candidate", "candidate"), "apply", "-f", "-")
				if strings.Contains(out, "Warning") {
					t.Fatalf("the request gets a warning:\n%s", out)
				}
				if value(t, "mooring_findings_total", `action="Audit"`, `policy="candidate"`, `rule="update-strategy"`) > 0 {
					return nil
				}
				kubectl(t, "", "-n", "candidate", "delete", "statefulset", "queue")
				return fmt.Errorf("no finding is counted")
			})
			await(t, "the finding in the report", func() error {
				r, err := read("candidate", "reports.openreports.io")
				if err != nil {
					return err
				}
				if len(r.Results) != 1 || r.Results[0].Policy != "candidate" || r.Results[0].Rule != "update-strategy/required" || r.Results[0].Properties["action"] != "Audit" {
					return fmt.Errorf("the results are %+v", r.Results)
				}
				return equal(violations(t, "update-strategy", "Audit", "candidate"), 1)
			})
		})
	})
}

// violate creates a namespace in mode warn, with a StatefulSet without a Service.
func violate(t *testing.T, name string) {
	t.Helper()
	namespace(t, name)
	kubectl(t, "", "label", "namespace", name, "mooring.dev/mode=warn")
	await(t, "the label to be known", func() error {
		_, err := cluster.Run(t.Context(), cluster.Kubeconfig, fmt.Sprintf(queue, name), "apply", "-f", "-")
		return err
	})
}

// follow creates a violation, reads the report with kubectl, fixes the violation, and waits until the report is gone.
func follow(t *testing.T, name, resource string) {
	t.Helper()
	violate(t, name)
	await(t, "the report", func() error {
		r, err := read(name, resource)
		if err != nil {
			return err
		}
		if r.Labels["app.kubernetes.io/managed-by"] != "mooring" || r.Summary.Warn != 1 || r.Summary.Fail != 0 || len(r.Results) != 1 {
			return fmt.Errorf("labels %v, summary %+v, %d results", r.Labels, r.Summary, len(r.Results))
		}
		result := r.Results[0]
		if result.Source != "mooring" || result.Policy != "baseline" || result.Rule != "headless-service/missing" || result.Result != "warn" ||
			result.Severity != "high" || len(result.Subjects) != 1 || result.Subjects[0].Name != "queue" || result.Properties["remedy"] == "" {
			return fmt.Errorf("the result is %+v", result)
		}
		return nil
	})
	t.Logf("kubectl -n %s get %s\n%s", name, resource, kubectl(t, "", "-n", name, "get", resource))
	kubectl(t, fmt.Sprintf(queueService, name), "apply", "-f", "-")
	await(t, "the report to go", func() error {
		if _, err := read(name, resource); err == nil || !strings.Contains(err.Error(), "NotFound") {
			return fmt.Errorf("the answer is %v", err)
		}
		return equal(violations(t, "headless-service", "Warn", name), 0)
	})
}

// read returns the namespace's report in the types of openreports.io, whose fields both APIs share.
func read(namespace, resource string) (openreports.Report, error) {
	var r openreports.Report
	cmd := cluster.Kubectl(context.Background(), "-n", namespace, "get", resource, "mooring", "-o", "json")
	out, err := cmd.Output()
	if err != nil {
		if ended, ok := err.(*exec.ExitError); ok {
			err = fmt.Errorf("%w: %s", err, ended.Stderr)
		}
		return r, err
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	decoder.DisallowUnknownFields()
	return r, decoder.Decode(&r)
}

func install(t *testing.T, crd string) {
	t.Helper()
	kubectl(t, crd, "create", "-f", "-")
	kubectl(t, crd, "wait", "--for=condition=Established", "-f", "-", "--timeout=30s")
}

// logged reports whether a line of the server's log has all of these.
func logged(words ...string) error {
	data, err := os.ReadFile(cluster.Log)
	if err != nil {
		return err
	}
lines:
	for line := range strings.Lines(string(data)) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		return nil
	}
	return fmt.Errorf("the log has no line with %q", words)
}

// scansLater waits until the scanner has started this many more scans.
func scansLater(t *testing.T, n float64) {
	t.Helper()
	from := value(t, "mooring_scans_total")
	await(t, "more scans", func() error {
		if now := value(t, "mooring_scans_total"); now < from+n {
			return fmt.Errorf("%v of %v", now-from, n)
		}
		return nil
	})
}

func violations(t *testing.T, rule, action, namespace string) float64 {
	return value(t, "mooring_violations", `rule="`+rule+`"`, `action="`+action+`"`, `namespace="`+namespace+`"`)
}

// value returns the sum of Mooring's metrics with this name and labels.
func value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	body, err := harness.Get(t.Context(), cluster.Metrics+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return sum(body, name, func(line string) bool {
		for _, l := range labels {
			if !strings.Contains(line, l) {
				return false
			}
		}
		return true
	})
}

// reportWrites counts the API server's requests that change one policy report. When a namespace is deleted, all its reports are
// deleted in one request, which is not the scanner's.
func reportWrites(t *testing.T) float64 {
	t.Helper()
	return sum(kubectl(t, "", "get", "--raw", "/metrics"), "apiserver_request_total", func(line string) bool {
		return (strings.Contains(line, `resource="reports"`) || strings.Contains(line, `resource="policyreports"`)) &&
			strings.Contains(line, `scope="resource"`) && !strings.Contains(line, `verb="GET"`) && !strings.Contains(line, `verb="LIST"`) && !strings.Contains(line, `verb="WATCH"`)
	})
}

func sum(metrics, name string, counts func(line string) bool) float64 {
	var total float64
	for line := range strings.Lines(metrics) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") || !counts(line) {
			continue
		}
		if n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64); err == nil {
			total += n
		}
	}
	return total
}

func equal(got, want float64) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}
