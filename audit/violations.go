package audit

import (
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/mooring-dev/mooring/policies"
)

var (
	violationsNow = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mooring_violations",
		Help: "Findings about objects in the cluster, by rule, action (Deny, Warn, Audit) and namespace. Only the leader has them.",
	}, []string{"rule", "action", "namespace"})
	scansTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mooring_scans_total",
		Help: "Started scans of the whole cluster.",
	})
	scanErrorsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mooring_scan_errors_total",
		Help: "Failed scans of the cluster or of a namespace. The log has the reason.",
	})
	reportWritesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_report_writes_total",
		Help: "Policy reports written, by operation (apply, delete).",
	}, []string{"operation"})
)

func init() {
	metrics.Registry.MustRegister(violationsNow, scansTotal, scanErrorsTotal, reportWritesTotal)
}

// violations keeps the metric of findings by namespace.
type violations struct {
	mu    sync.Mutex
	shown map[string]map[violation]int
}

type violation struct{ rule, action string }

// set replaces the namespace's values.
func (v *violations) set(namespace string, findings []policies.Finding) {
	now := map[violation]int{}
	for _, f := range findings {
		now[violation{f.Rule, string(f.Action)}]++
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for old := range v.shown[namespace] {
		if now[old] == 0 {
			violationsNow.DeleteLabelValues(old.rule, old.action, namespace)
		}
	}
	for kind, n := range now {
		violationsNow.WithLabelValues(kind.rule, kind.action, namespace).Set(float64(n))
	}
	if v.shown == nil {
		v.shown = map[string]map[violation]int{}
	}
	if v.shown[namespace] = now; len(now) == 0 {
		delete(v.shown, namespace)
	}
}

// namespaces returns the namespaces with values.
func (v *violations) namespaces() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Keys(v.shown))
}

// forgetAll deletes all values when a scanner stops, because another takes over.
func (v *violations) forgetAll() {
	for _, namespace := range v.namespaces() {
		v.set(namespace, nil)
	}
}
