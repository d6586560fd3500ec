package webhooks

import (
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// TestModesLeaveATrace checks what can be found after a week in which nothing was refused.
func TestModesLeaveATrace(t *testing.T) {
	for mode, want := range map[string]struct {
		event  string
		action v1alpha1.Action
	}{
		"audit": {"Warning WouldDeny admin: scale-down/quorum", v1alpha1.Audit},
		"warn":  {"Warning Warned admin: scale-down/quorum", v1alpha1.Warn},
	} {
		t.Run(mode, func(t *testing.T) {
			clusters := databaseClusters(t)
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{policies.ModeLabel: mode}}}
			namespace.SetGroupVersionKind(kinds.Namespace.GroupVersionKind)
			clusters.Objects = append([]kinds.Object{namespace}, clusters.Objects...)
			r := testReviewer(t, clusters)
			recorder := events.NewFakeRecorder(100)
			r.events = recorder
			counter := wouldDenyTotal.WithLabelValues("default", "scale-down", "quorum", "restricted", string(want.action))
			before := testutil.ToFloat64(counter)
			if got := ask(t, r.Handler(logr.Discard()), ValidatePath, recorded(t, "scale-down")); !got.Allowed {
				t.Fatalf("it was refused: %+v", got)
			}
			if n := testutil.ToFloat64(counter) - before; n != 1 {
				t.Errorf("counted %v times", n)
			}
			var all []string
			for len(recorder.Events) > 0 {
				all = append(all, <-recorder.Events)
			}
			if !strings.Contains(strings.Join(all, "\n"), want.event) {
				t.Errorf("no event %q among %q", want.event, all)
			}
		})
	}
}

// TestOneWarningForIdenticalFindings checks that a warning is not repeated.
func TestOneWarningForIdenticalFindings(t *testing.T) {
	f := policies.Finding{Rule: "spread", Check: "together", Action: v1alpha1.Warn, Message: "They are together."}
	other := f
	other.Path = "spec.template"
	third := f
	third.Message = "They are far apart."
	got := respond(&admissionv1.AdmissionRequest{}, policies.Verdict{Findings: []policies.Finding{f, other, third}})
	if len(got.Warnings) != 2 {
		t.Errorf("the warnings are %q", got.Warnings)
	}
}
