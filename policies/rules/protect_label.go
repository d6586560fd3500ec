package rules

import (
	"fmt"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var protectLabel = policies.Rule{
	ID:    "protect-label",
	Title: "The label mooring.dev/protect has the value true",
	Doc: `Only the value "true" of the label mooring.dev/protect protects an object from deletion. With any other value,
such as yes, the object only looks protected.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update), policies.On(kinds.PersistentVolumeClaim, create), policies.On(kinds.Service), policies.On(kinds.Namespace)},
	Checks:   []policies.Check{{Name: "value", Doc: "the label has a value that protects nothing"}},
	Logic: policies.Typed[v1alpha1.ProtectLabel]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ProtectLabel { return &r.ProtectLabel },
		Baseline:   &v1alpha1.ProtectLabel{Enforcement: warn},
		Restricted: &v1alpha1.ProtectLabel{Enforcement: warn},
		Object:     findsMisspelledLabel,
	},
}

func findsMisspelledLabel(o kinds.Object, _ policies.Cluster, _ v1alpha1.ProtectLabel) ([]policies.Finding, error) {
	value, ok := o.GetLabels()[policies.ProtectLabel]
	if !ok || value == "true" || value == "false" {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "value", Path: "metadata.labels",
		Message: fmt.Sprintf("%s has the label %s=%s, which protects nothing: only the value true protects it.", policies.RefTo(o), policies.ProtectLabel, value),
		Remedy:  fmt.Sprintf("%s %s=true --overwrite", policies.Command("label", o), policies.ProtectLabel),
	}}, nil
}
