package rules

import (
	"fmt"
	"strings"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var profileLabel = policies.Rule{
	ID:    "profile-label",
	Title: "Namespace labels name a valid profile and mode",
	Doc: `The label mooring.dev/profile of a namespace chooses its profile, and the label mooring.dev/mode caps it.
Mooring ignores an unknown value: the namespace has the profile and mode that it would have without the label. The chart's
ValidatingAdmissionPolicy refuses unknown values; this rule reports those that are older.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.Namespace)},
	Checks: []policies.Check{
		{Name: "profile", Doc: "the label mooring.dev/profile has an unknown value"},
		{Name: "mode", Doc: "the label mooring.dev/mode has an unknown value"},
	},
	Logic: policies.Typed[v1alpha1.ProfileLabel]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ProfileLabel { return &r.ProfileLabel },
		Baseline:   &v1alpha1.ProfileLabel{Enforcement: warn},
		Restricted: &v1alpha1.ProfileLabel{Enforcement: warn},
		Object:     findsUnknownProfile,
	},
}

func findsUnknownProfile(o kinds.Object, _ policies.Cluster, _ v1alpha1.ProfileLabel) ([]policies.Finding, error) {
	var found []policies.Finding
	for _, label := range []struct {
		check, key, instead string
		valid               []string
	}{
		{"profile", policies.ProfileLabel, "the label is ignored", policies.Profiles},
		{"mode", policies.ModeLabel, "its profile is enforced", policies.Modes},
	} {
		value, ok := o.GetLabels()[label.key]
		if !ok || policies.Names(label.key, value) {
			continue
		}
		found = append(found, policies.Finding{
			Check: label.check, Path: "metadata.labels",
			Message: fmt.Sprintf("Namespace %s has the label %s=%s, which is not a %s: %s. Valid values: %s.",
				o.GetName(), label.key, value, label.check, label.instead, strings.Join(label.valid, ", ")),
			Remedy: fmt.Sprintf("kubectl label --overwrite namespace %s %s=%s", o.GetName(), label.key, label.valid[1]),
		})
	}
	return found, nil
}
