package audit

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

func findings(action v1alpha1.Action, n int) []policies.Finding {
	var all []policies.Finding
	for i := range n {
		all = append(all, policies.Finding{Rule: "r", Check: "c", Action: action, Object: policies.Ref{Kind: "StatefulSet", Namespace: "a", Name: fmt.Sprint(action, i)}})
	}
	return all
}

// TestPolicyReportIsBounded checks that a report with too many findings keeps the strictest and counts all.
func TestPolicyReportIsBounded(t *testing.T) {
	r := policyReport("a", append(findings(v1alpha1.Warn, mostResults), findings(v1alpha1.Deny, 2)...), report.OpenReports)
	if len(r.Results) != mostResults || r.Results[0].Result != "fail" || r.Results[1].Result != "fail" || r.Results[2].Result != "warn" {
		t.Errorf("%d results, the first %+v", len(r.Results), r.Results[0])
	}
	if r.Summary.Fail != 2 || r.Summary.Warn != mostResults || r.Metadata.Annotations["mooring.dev/truncated"] == "" {
		t.Errorf("the summary is %+v, the annotations %v", r.Summary, r.Metadata.Annotations)
	}
}

func TestHashIsOfWhatIsSaid(t *testing.T) {
	hash := func(r report.PolicyReport) string {
		h, err := hashOf(r)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", h)
	}
	one := policyReport("a", findings(v1alpha1.Warn, 1), report.OpenReports)
	labeled := policyReport("a", findings(v1alpha1.Warn, 1), report.WGPolicy)
	labeled.Metadata.Labels["another"] = "label"
	if hash(one) != hash(labeled) {
		t.Error("what others add is a change")
	}
	if hash(one) == hash(policyReport("a", findings(v1alpha1.Deny, 1), report.OpenReports)) {
		t.Error("another action is none")
	}
}

func TestViolations(t *testing.T) {
	var v violations
	v.set("a", findings(v1alpha1.Warn, 3))
	v.set("b", findings(v1alpha1.Deny, 1))
	if n := testutil.ToFloat64(violationsNow.WithLabelValues("r", "Warn", "a")); n != 3 {
		t.Errorf("%v violations, want 3", n)
	}
	v.set("a", findings(v1alpha1.Deny, 1))
	if n := testutil.CollectAndCount(violationsNow); n != 2 {
		t.Errorf("%d series, want one for each namespace", n)
	}
	v.forgetAll()
	if n := testutil.CollectAndCount(violationsNow); n != 0 {
		t.Errorf("%d series are left", n)
	}
}
