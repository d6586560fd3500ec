package rules

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var readiness = policies.Rule{
	ID:    "readiness",
	Title: "Containers have a readiness probe",
	Doc: `A StatefulSet starts, updates and stops its Pods one after the other, and waits for each Pod to be ready.
Without a readinessProbe a container is ready as soon as its process runs. A rolling update then continues while a member
still recovers, and stops the majority step by step. A probe on any container, or on an init container that keeps running, is
enough.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks:   []policies.Check{{Name: "no-probe", Doc: "no container of the Pod has a readinessProbe"}},
	Logic: policies.Typed[v1alpha1.Readiness]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.Readiness { return &r.Readiness },
		Baseline:   &v1alpha1.Readiness{Enforcement: warn},
		Restricted: &v1alpha1.Readiness{Enforcement: deny},
		Object:     saysWhenReady,
	},
}

func saysWhenReady(o kinds.Object, _ policies.Cluster, _ v1alpha1.Readiness) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if statefulset.ProbesReadiness(set) {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "no-probe", Path: "spec.template.spec.containers",
		Message: fmt.Sprintf("No container of StatefulSet %s has a readinessProbe: its Pods count as ready before they serve, and a rollout does not wait for them.", set.Name),
		Remedy:  "add a readinessProbe that tests whether the member serves, such as a command of the database's client.",
	}}, nil
}
