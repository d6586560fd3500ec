package rules

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var terminationGrace = policies.Rule{
	ID:    "termination-grace",
	Title: "Pods get time to stop",
	Doc: `With terminationGracePeriodSeconds: 0 every delete of a Pod is a forced delete. The kubelet kills the process
before it can flush its data, and the API server removes the Pod before it has stopped, so a second Pod with the same identity
can start on the same volume. The API documentation calls this unsafe for StatefulSets.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks:   []policies.Check{{Name: "zero", Doc: "the Pods get no time to stop"}},
	Logic: policies.Typed[v1alpha1.TerminationGrace]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.TerminationGrace { return &r.TerminationGrace },
		Baseline:   &v1alpha1.TerminationGrace{Enforcement: deny},
		Restricted: &v1alpha1.TerminationGrace{Enforcement: deny},
		Object:     givesTimeToStop,
	},
}

func givesTimeToStop(o kinds.Object, _ policies.Cluster, _ v1alpha1.TerminationGrace) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if grace := set.Spec.Template.Spec.TerminationGracePeriodSeconds; grace == nil || *grace > 0 {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "zero", Path: "spec.template.spec.terminationGracePeriodSeconds",
		Message: fmt.Sprintf("The Pods of StatefulSet %s get no time to stop (terminationGracePeriodSeconds: 0): writes can be lost, and two Pods can write to one volume.", set.Name),
		Remedy:  "set spec.template.spec.terminationGracePeriodSeconds to the time that a clean stop takes, or remove it (the default is 30).",
	}}, nil
}
