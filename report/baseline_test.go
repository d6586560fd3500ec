package report

import (
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

func TestBaselineOfOverlays(t *testing.T) {
	in := func(name string, overlays ...string) Finding {
		return Finding{Position: Position{File: "base/db.yaml", Line: 7}, Renderings: overlays, Finding: policies.Finding{
			Rule: "readiness", Check: "no-probe", Path: "spec.template", Action: v1alpha1.Deny, Message: name + " has no probe",
			Object: policies.Ref{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: "shop", Name: name},
		}}
	}
	was := Report{Command: "check", Findings: Distinct([]Finding{in("dev-db", "dev"), in("prod-db", "prod")})}
	known, err := ReadBaseline(strings.NewReader(written(t, "json", was)))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		now               []Finding
		left, known, gone int
	}{
		"the same":                      {now: []Finding{in("dev-db", "dev"), in("prod-db", "prod")}, known: 1},
		"a new first overlay":           {now: []Finding{in("canary-db", "canary"), in("dev-db", "dev"), in("prod-db", "prod")}, known: 1},
		"the first overlay is gone":     {now: []Finding{in("prod-db", "prod")}, known: 1},
		"all overlays are gone":         {gone: 1},
		"the object without an overlay": {now: []Finding{in("db")}, left: 1, gone: 1},
		"another object of the base":    {now: []Finding{in("dev-db", "dev"), in("dev-cache", "dev")}, left: 1, known: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := Report{Findings: Distinct(tc.now)}
			r.Subtract(known)
			if len(r.Findings) != tc.left || r.Known != tc.known || r.Gone != tc.gone {
				t.Errorf("%d left, %d known, %d gone, want %d, %d, %d", len(r.Findings), r.Known, r.Gone, tc.left, tc.known, tc.gone)
			}
		})
	}
}
