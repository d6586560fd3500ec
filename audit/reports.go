package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

// written keeps a policy report in each namespace with findings, and writes only changes. It keeps a hash of each report, not the
// report.
type written struct {
	client client.Client
	log    logr.Logger

	mu     sync.Mutex
	loaded bool
	// api is the API that the cluster serves, or nil.
	api  *report.PolicyReportAPI
	hash map[string][sha256.Size]byte
}

// fieldManager is the field manager of the reports.
const fieldManager = "mooring-scanner"

// mostResults limits the results of a report, because an object must be smaller than 1.5 MiB. The strictest are kept.
const mostResults = 500

// load finds the cluster's API for policy reports and the existing reports, and returns their namespaces. A report that someone
// else changed has another hash, so it is written again.
func (w *written) load(ctx context.Context) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	api, err := w.find()
	if err != nil {
		return nil, err
	}
	w.announce(api)
	w.api, w.loaded, w.hash = api, true, map[string][sha256.Size]byte{}
	if api == nil {
		return nil, nil
	}
	var names []string
	token := ""
	for {
		list := &unstructured.UnstructuredList{}
		gvk := gvkOf(*api)
		gvk.Kind += "List"
		list.SetGroupVersionKind(gvk)
		if err := w.client.List(ctx, list, client.Limit(pageSize), client.Continue(token), client.MatchingLabels{"app.kubernetes.io/managed-by": report.PolicyReportName}); err != nil {
			return nil, fmt.Errorf("listing policy reports: %w", err)
		}
		for _, item := range list.Items {
			if item.GetName() != report.PolicyReportName {
				continue
			}
			names = append(names, item.GetNamespace())
			var there report.PolicyReport
			// If it is no longer a report of Mooring, its hash differs.
			_ = runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &there)
			if w.hash[item.GetNamespace()], err = hashOf(there); err != nil {
				return nil, err
			}
		}
		if token = list.GetContinue(); token == "" {
			return names, nil
		}
	}
}

// find returns the first API that the cluster serves, or nil.
func (w *written) find() (*report.PolicyReportAPI, error) {
	for _, api := range []report.PolicyReportAPI{report.OpenReports, report.WGPolicy} {
		gvk := gvkOf(api)
		_, err := w.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		if err == nil {
			return &api, nil
		}
		if !meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("looking for %s: %w", api.APIVersion, err)
		}
	}
	return nil, nil
}

// announce logs the API when it changes.
func (w *written) announce(api *report.PolicyReportAPI) {
	switch {
	case w.loaded && (api == nil) == (w.api == nil) && (api == nil || *api == *w.api):
	case api == nil:
		w.log.Info("the cluster has no API for policy reports; violations are only in the metrics",
			"wanted", []string{report.OpenReports.APIVersion, report.WGPolicy.APIVersion})
	default:
		w.log.Info("policy reports are written", "apiVersion", api.APIVersion, "kind", api.Kind)
	}
}

// write updates the namespace's report, and deletes it if there are no findings.
func (w *written) write(ctx context.Context, namespace string, findings []policies.Finding) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.api == nil {
		return nil
	}
	before, there := w.hash[namespace]
	o := &unstructured.Unstructured{}
	if len(findings) == 0 {
		if !there {
			return nil
		}
		o.SetGroupVersionKind(gvkOf(*w.api))
		o.SetNamespace(namespace)
		o.SetName(report.PolicyReportName)
		if err := client.IgnoreNotFound(w.client.Delete(ctx, o)); err != nil {
			return fmt.Errorf("removing the policy report: %w", err)
		}
		reportWritesTotal.WithLabelValues("delete").Inc()
		delete(w.hash, namespace)
		return nil
	}
	wanted := policyReport(namespace, findings, *w.api)
	hash, err := hashOf(wanted)
	if err != nil || there && hash == before {
		return err
	}
	if o.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(&wanted); err != nil {
		return err
	}
	if err := w.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(fieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("writing the policy report: %w", err)
	}
	reportWritesTotal.WithLabelValues("apply").Inc()
	w.hash[namespace] = hash
	return nil
}

// forget drops a namespace that was deleted.
func (w *written) forget(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.hash, namespace)
}

// policyReport returns the report. If there are too many findings, it keeps the strictest.
func policyReport(namespace string, findings []policies.Finding, api report.PolicyReportAPI) report.PolicyReport {
	var all []report.Finding
	for _, f := range findings {
		all = append(all, report.Finding{Finding: f})
	}
	r := report.PolicyReportOn(namespace, all, api)
	if len(r.Results) > mostResults {
		slices.SortStableFunc(r.Results, func(a, b report.PolicyResult) int { return cmp.Compare(strictness(b), strictness(a)) })
		r.Metadata.Annotations = map[string]string{"mooring.dev/truncated": fmt.Sprintf("%d of %d results are left out. Fix: list all with mooring audit -n %s", len(r.Results)-mostResults, len(r.Results), namespace)}
		r.Results = r.Results[:mostResults]
	}
	return r
}

func strictness(r report.PolicyResult) int {
	return slices.Index([]string{string(v1alpha1.Audit), string(v1alpha1.Warn), string(v1alpha1.Deny)}, r.Properties["action"])
}

// hashOf returns a hash of what Mooring writes in a report, without the fields of the API server and others.
func hashOf(r report.PolicyReport) ([sha256.Size]byte, error) {
	data, err := json.Marshal(struct {
		Summary report.PolicyReportSummary
		Results []report.PolicyResult
	}{r.Summary, r.Results})
	return sha256.Sum256(data), err
}

func gvkOf(api report.PolicyReportAPI) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(api.APIVersion, api.Kind)
}
