package rules

import (
	"fmt"
	"slices"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var unknownField = policies.Rule{
	ID:    "unknown-field",
	Title: "Manifests have only known fields",
	Doc: `A misspelled field has no effect: the API server drops it with a warning that few clients show, and the default
applies. kubectl refuses such a manifest, but other clients apply it. Only files still have the field. This rule does not look
below fields of a Pod template that no rule reads, such as the environment of a container.`,
	Severity: policies.Medium,
	On: policies.InFiles(kinds.StatefulSet, kinds.Deployment, kinds.Service, kinds.PersistentVolumeClaim, kinds.PersistentVolume,
		kinds.StorageClass, kinds.PodDisruptionBudget, kinds.HorizontalPodAutoscaler, kinds.Namespace),
	Checks: []policies.Check{{Name: "unknown", Doc: "the kind has no such field"}},
	Logic: policies.Typed[v1alpha1.UnknownField]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.UnknownField { return &r.UnknownField },
		Baseline:   &v1alpha1.UnknownField{Enforcement: warn},
		Restricted: &v1alpha1.UnknownField{Enforcement: deny},
		Change:     hasKnownFields,
	},
}

func hasKnownFields(ch policies.Change, _ policies.Cluster, _ v1alpha1.UnknownField) ([]policies.Finding, error) {
	var found []policies.Finding
	for _, path := range ch.Unknown {
		kind := kinds.Of(ch.New)
		remedy := "remove it, or move it to its place."
		if meant := kind.Meant(path); meant != "" {
			remedy = fmt.Sprintf("write %s", meant)
		}
		found = append(found, policies.Finding{
			Check: "unknown", Path: path, Standing: slices.Contains(ch.UnknownBefore, path),
			Message: fmt.Sprintf("A %s has no field %s: the API server drops it from %s, and kubectl refuses the manifest.", kind.Kind, path, ch.New.GetName()),
			Remedy:  remedy,
		})
	}
	return found, nil
}
