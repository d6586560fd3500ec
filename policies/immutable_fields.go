package policies

import (
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var immutableFields = Rule{
	ID:    "immutable-fields",
	Block: "immutableFields",
	Title: "What cannot change is not asked to",
	Doc: `Of a StatefulSet's spec, selector, serviceName, podManagementPolicy and volumeClaimTemplates cannot change; the API
server answers with a list of what can. This names the fields that do, before the change is sent: in a cluster the API
server is first, so it speaks where files are compared with an earlier revision. The way through is to delete the
StatefulSet without its Pods and claims, and to create it again over them.`,
	Severity: Low,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Update}}},
	Checks:   []Check{{"changed", "a field changes that cannot"}},
	blocks: typed(logic[v1alpha1.ImmutableFields]{
		params: func(r *v1alpha1.Rules) *v1alpha1.ImmutableFields { return r.ImmutableFields },
		change: changesImmutableFields,
	}),
	Cases: []Case{
		{
			Name: "what may change", Old: `kind: StatefulSet`,
			New: `{kind: StatefulSet, spec: {replicas: 5, minReadySeconds: 10, template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
		},
		{
			Name: "a larger claim template", Old: `kind: StatefulSet`, InFiles: true,
			New: `{kind: StatefulSet, spec: {volumeClaimTemplates: [
       {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}}]}}`,
			Want: []string{"changed"},
		},
		{
			Name: "another Service and another order", Old: `kind: StatefulSet`, InFiles: true,
			New:  `{kind: StatefulSet, spec: {serviceName: other, podManagementPolicy: Parallel}}`,
			Want: []string{"changed", "changed"},
		},
	},
}

func changesImmutableFields(ch Change, _ Cluster, _ v1alpha1.ImmutableFields) ([]Finding, error) {
	older, newer, ok := statefulSets(ch)
	if !ok || !ch.InFiles {
		return nil, nil
	}
	var found []Finding
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
		found = append(found, Finding{
			Check: "changed", Path: "spec." + field.name,
			Message: fmt.Sprintf("spec.%s of StatefulSet %s changes, and the API server will refuse it.", field.name, newer.Name),
			Remedy: fmt.Sprintf("leave it, or make the StatefulSet anew over its Pods and claims: %s delete statefulset %s --cascade=orphan, and apply it again.",
				kubectl(newer), newer.Name),
		})
	}
	return found, nil
}
