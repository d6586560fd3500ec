package rules

import (
	"fmt"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
)

var blockedDrain = policies.Rule{
	ID:    "blocked-drain",
	Title: "Nodes can be drained while a StatefulSet is healthy",
	Doc: `A PodDisruptionBudget that requires every Pod allows no eviction even while all Pods are healthy, so nodes that
run one of them cannot be drained. This rule reads the budget's status. If its spec shows the same, disruption-budget/stuck
reports it. Only a live cluster shows this.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet)},
	Checks:   []policies.Check{{Name: "budget", Doc: "a PodDisruptionBudget allows no eviction even while every Pod is healthy"}},
	Logic: policies.Typed[v1alpha1.BlockedDrain]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.BlockedDrain { return &r.BlockedDrain },
		Baseline:   &v1alpha1.BlockedDrain{Enforcement: warn},
		Restricted: &v1alpha1.BlockedDrain{Enforcement: warn},
		Observe:    findsBlockedDrain,
	},
}

func findsBlockedDrain(o kinds.Object, c policies.Cluster, _ policies.Clock, _ v1alpha1.BlockedDrain) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	own, _, err := policies.BudgetsOf(set.Namespace, set.Spec.Template.Labels, c)
	if err != nil || set.DeletionTimestamp != nil {
		return nil, err
	}
	replicas := statefulset.OrdinalsOf(set).Count()
	var found []policies.Finding
	for _, b := range own {
		said := len(own) == 1 && replicas > 0 && statefulset.Promised(b, replicas) >= replicas
		if said || b.Status.ExpectedPods == 0 || b.Status.DesiredHealthy < b.Status.ExpectedPods {
			continue
		}
		found = append(found, policies.Finding{
			Object: policies.RefTo(b), Check: "budget", Path: "status.disruptionsAllowed",
			Message: fmt.Sprintf("PodDisruptionBudget %s requires %d of the %d Pods of StatefulSet %s. None can be evicted, so nodes that run one cannot be drained.",
				b.Name, b.Status.DesiredHealthy, b.Status.ExpectedPods, set.Name),
			Remedy: "allow one Pod to be unavailable:",
			Fix:    letOneBeAway(b),
		})
	}
	return found, nil
}
