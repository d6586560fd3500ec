package report

import (
	"sigs.k8s.io/yaml"

	"bufio"
	"io"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// PolicyReportAPI is one of the two APIs for policy reports. They have the same fields, as far as Mooring writes them.
type PolicyReportAPI struct {
	APIVersion string
	// Kind is the kind of a namespace's report, ClusterKind of the report on cluster-scoped objects.
	Kind, ClusterKind string
}

// The APIs, the preferred one first.
var (
	OpenReports = PolicyReportAPI{"openreports.io/v1alpha1", "Report", "ClusterReport"}
	WGPolicy    = PolicyReportAPI{"wgpolicyk8s.io/v1alpha2", "PolicyReport", "ClusterPolicyReport"}
)

// PolicyReport is the report on a namespace, or on cluster-scoped objects. It fits both APIs.
type PolicyReport struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        PolicyReportMeta    `json:"metadata"`
	Summary         PolicyReportSummary `json:"summary"`
	Results         []PolicyResult      `json:"results"`
}

// PolicyReportMeta is the metadata that Mooring writes.
type PolicyReportMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PolicyReportSummary counts the results.
type PolicyReportSummary struct {
	Pass  int `json:"pass"`
	Fail  int `json:"fail"`
	Warn  int `json:"warn"`
	Error int `json:"error"`
	Skip  int `json:"skip"`
}

// PolicyResult is a finding as a result of a policy report.
type PolicyResult struct {
	Source   string `json:"source"`
	Policy   string `json:"policy"`
	Rule     string `json:"rule"`
	Category string `json:"category"`
	Severity string `json:"severity"`
	// Result is fail for Deny, warn for Warn and Audit, and skip for ignored findings.
	Result     string                   `json:"result"`
	Scored     bool                     `json:"scored"`
	Resources  []corev1.ObjectReference `json:"resources"`
	Message    string                   `json:"message"`
	Properties map[string]string        `json:"properties"`
}

// PolicyReportName is the name of every report, and the value of its label app.kubernetes.io/managed-by.
const PolicyReportName = "mooring"

// policyReports returns one report for each cluster and namespace with findings, in the report's order.
func policyReports(r Report, api PolicyReportAPI) []PolicyReport {
	type place struct{ cluster, namespace string }
	var places []place
	findings := map[place][]Finding{}
	for _, f := range r.sorted().Findings {
		p := place{f.Cluster, f.Object.Namespace}
		if findings[p] == nil {
			places = append(places, p)
		}
		findings[p] = append(findings[p], f)
	}
	var all []PolicyReport
	for _, p := range places {
		report := PolicyReportOn(p.namespace, findings[p], api)
		if p.cluster != "" {
			report.Metadata.Annotations = map[string]string{"mooring.dev/cluster": p.cluster}
		}
		all = append(all, report)
	}
	return all
}

// PolicyReportOn returns the report on a namespace, or on cluster-scoped objects, with the findings in their order.
func PolicyReportOn(namespace string, findings []Finding, api PolicyReportAPI) PolicyReport {
	report := PolicyReport{
		TypeMeta: metav1.TypeMeta{APIVersion: api.APIVersion, Kind: api.Kind},
		Metadata: PolicyReportMeta{
			Name: PolicyReportName, Namespace: namespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": PolicyReportName},
		},
	}
	if namespace == "" {
		report.Kind = api.ClusterKind
	}
	for _, f := range findings {
		result := policyResultOf(f)
		report.Results = append(report.Results, result)
		switch result.Result {
		case "skip":
			report.Summary.Skip++
		case "fail":
			report.Summary.Fail++
		default:
			report.Summary.Warn++
		}
	}
	return report
}

// policyResultOf returns a finding as a result of a policy report.
func policyResultOf(f Finding) PolicyResult {
	denied := f.Action == v1alpha1.Deny
	result := PolicyResult{
		Source: PolicyReportName, Policy: f.Policy, Rule: f.ID(), Category: "Stateful workloads", Severity: string(f.Severity),
		Result: "warn", Scored: denied, Message: f.Message,
		Resources: []corev1.ObjectReference{{
			APIVersion: f.Object.APIVersion, Kind: f.Object.Kind, Namespace: f.Object.Namespace, Name: f.Object.Name,
		}},
		Properties: map[string]string{"action": string(f.Action), "docs": f.Docs},
	}
	switch {
	case f.Ignored != "":
		result.Result, result.Scored = "skip", false
	case denied:
		result.Result = "fail"
	}
	for name, value := range map[string]string{
		"path": f.Path, "remedy": f.Remedy, "note": f.Note, "bypassed": f.Bypassed, "ignored": f.Ignored, "file": f.Position.File,
	} {
		if value != "" {
			result.Properties[name] = value
		}
	}
	if f.Position.Line > 0 {
		result.Properties["line"] = strconv.Itoa(f.Position.Line)
	}
	return result
}

// writePolicyReport writes policy reports in YAML. Errors belong to no namespace, so they are comments at the top.
func writePolicyReport(w io.Writer, r Report) error {
	b := bufio.NewWriter(w)
	for _, e := range r.Errors {
		b.WriteString("# error: " + e.String() + "\n")
	}
	for _, report := range policyReports(r, OpenReports) {
		text, err := yaml.Marshal(report)
		if err != nil {
			return err
		}
		b.WriteString("---\n" + string(text))
	}
	if len(r.Findings) == 0 {
		b.WriteString("# " + r.Summary() + "\n")
	}
	return b.Flush()
}
