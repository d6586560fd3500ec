package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"
)

// metricsAPI registers a metrics API on loopback. A Service with endpoints must not have a loopback address; an external name may.
const metricsAPI = `
apiVersion: v1
kind: Service
metadata: {name: metrics, namespace: kube-system}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec:
  group: external.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {namespace: kube-system, name: metrics, port: %s}
`

// ServeMetrics gives autoscalers the external metrics load-1, load-2 and so on until ctx ends. The value of each is in its name.
func (in *Installation) ServeMetrics(ctx context.Context) error {
	const version = "/apis/external.metrics.k8s.io/v1beta1"
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, body map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("GET "+version, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1", "resources": []any{}})
	})
	mux.HandleFunc("GET "+version+"/namespaces/{namespace}/{metric}", func(w http.ResponseWriter, r *http.Request) {
		metric := r.PathValue("metric")
		answer(w, map[string]any{
			"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": map[string]any{},
			"items": []any{map[string]any{
				"metricName": metric, "metricLabels": map[string]any{}, "timestamp": time.Now().UTC().Format(time.RFC3339),
				"value": strings.TrimPrefix(metric, "load-"),
			}},
		})
	})
	server := httptest.NewTLSServer(mux)
	context.AfterFunc(ctx, server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		return err
	}
	if _, err := in.Apply(ctx, fmt.Sprintf(metricsAPI, at.Port())); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		_, _ = in.Run(context.WithoutCancel(ctx), in.Kubeconfig, "", "delete", "apiservice", "v1beta1.external.metrics.k8s.io")
	})
	_, err = in.Run(ctx, in.Kubeconfig, "", "wait", "apiservice/v1beta1.external.metrics.k8s.io", "--for=condition=Available", "--timeout=60s")
	return err
}
