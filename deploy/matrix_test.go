package deploy

import (
	"fmt"
	"maps"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// choices are values that change the rendered objects. All combinations are tested.
var choices = []map[string]any{
	{"namespace": map[string]any{"create": true}},
	{"replicas": 1},
	{"priorityClassName": "", "hostNetwork": true, "autoscaling": map[string]any{"enabled": true}, "commonLabels": map[string]any{"a": "b"}},
	{"certs": map[string]any{"mode": "files", "files": map[string]any{"secretName": "tls"}}, "serviceMonitor": map[string]any{"enabled": true}},
	{"networkPolicy": map[string]any{"enabled": true, "metricsFrom": []any{map[string]any{"namespaceSelector": map[string]any{}}}}},
	{"webhook": map[string]any{"url": "https://127.0.0.1:9443"}},
	{"webhook": map[string]any{"clientCA": map[string]any{"configMap": "ca", "names": []any{"front-proxy-client"}}}},
	{"defaultProfile": "restricted", "nativeFallback": map[string]any{"enabled": true}},
}

// TestEveryCombinationRenders renders each combination of the choices. The schema must accept it, and all objects must decode
// strictly.
func TestEveryCombinationRenders(t *testing.T) {
	for combination := range 1 << len(choices) {
		if objects := render(t, combined(combination)); len(objects) == 0 {
			t.Errorf("combination %b renders nothing", combination)
		}
	}
}

// TestLint is helm lint --strict, with each choice by itself and all together.
func TestLint(t *testing.T) {
	combinations := []int{0, 1<<len(choices) - 1}
	for i := range choices {
		combinations = append(combinations, 1<<i)
	}
	for _, combination := range combinations {
		t.Run(fmt.Sprintf("%07b", combination), func(t *testing.T) {
			result := lint.AllWithKubeVersion("chart", combined(combination), "elsewhere", nil)
			for _, m := range result.Messages {
				// An icon is only a recommendation.
				if m.Severity >= support.WarningSev {
					t.Error(m)
				}
			}
		})
	}
}

// combined returns the values of the choices whose bit is set.
func combined(combination int) map[string]any {
	values := map[string]any{}
	for i, choice := range choices {
		if combination&(1<<i) != 0 {
			values = chartutil.CoalesceTables(values, deepCopy(choice))
		}
	}
	return values
}

// deepCopy keeps the choices unchanged, because merging modifies its arguments.
func deepCopy(values map[string]any) map[string]any {
	copied := maps.Clone(values)
	for k, v := range copied {
		if table, ok := v.(map[string]any); ok {
			copied[k] = deepCopy(table)
		}
	}
	return copied
}
