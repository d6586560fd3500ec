package rules

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var immutableFields = policies.Rule{
	ID:    "immutable-fields",
	Title: "An update changes no immutable field",
	Doc: `Of a StatefulSet's spec, selector, serviceName, podManagementPolicy and volumeClaimTemplates cannot change; the API
server answers with a list of what can. This names the fields that do, before the change is sent: in a cluster the API
server is first, so it speaks where files are compared with an earlier revision. The way through is to delete the
StatefulSet without its Pods and claims, and to create it again over them.`,
	Severity: policies.Low,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, update)},
	Checks:   []policies.Check{{Name: "changed", Doc: "a field changes that cannot"}},
	Logic: policies.Typed[v1alpha1.ImmutableFields]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ImmutableFields { return &r.ImmutableFields },
		Baseline:   &v1alpha1.ImmutableFields{Enforcement: warn},
		Restricted: &v1alpha1.ImmutableFields{Enforcement: warn},
		Change:     changesImmutableFields,
	},
}

func changesImmutableFields(ch policies.Change, _ policies.Cluster, _ v1alpha1.ImmutableFields) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || !ch.InFiles {
		return nil, nil
	}
	var found []policies.Finding
	for _, field := range []struct {
		name     string
		was, now any
	}{
		{"selector", older.Spec.Selector, newer.Spec.Selector},
		{"serviceName", older.Spec.ServiceName, newer.Spec.ServiceName},
		{"podManagementPolicy", older.Spec.PodManagementPolicy, newer.Spec.PodManagementPolicy},
		{"volumeClaimTemplates", older.Spec.VolumeClaimTemplates, newer.Spec.VolumeClaimTemplates},
	} {
		if equality.Semantic.DeepEqual(field.was, field.now) {
			continue
		}
		found = append(found, policies.Finding{
			Check: "changed", Path: "spec." + field.name,
			Message: fmt.Sprintf("spec.%s of StatefulSet %s is immutable: the API server refuses the change.", field.name, newer.Name),
			Remedy: fmt.Sprintf("undo the change, or recreate the StatefulSet around its Pods and claims: %s delete statefulset %s --cascade=orphan, then apply it again with the same replicas.",
				policies.Kubectl(newer), newer.Name),
		})
	}
	return found, nil
}
