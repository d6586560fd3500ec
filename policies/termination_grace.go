package policies

import (
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var terminationGrace = Rule{
	ID:    "termination-grace",
	Block: "terminationGrace",
	Title: "Members get time to stop",
	Doc: `With terminationGracePeriodSeconds 0 every delete of a Pod is a forced one: the kubelet kills the process without a
chance to flush and to say goodbye, and the API server forgets the Pod before it is known to be gone, so that a second Pod
of the same identity may start on the same volume. The API documentation calls it unsafe for StatefulSets.`,
	Severity: High,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks:   []Check{{"zero", "the Pods get no time to stop"}},
	blocks: typed(logic[v1alpha1.TerminationGrace]{
		params: func(r *v1alpha1.Rules) *v1alpha1.TerminationGrace { return r.TerminationGrace },
		object: givesTimeToStop,
	}),
	Cases: []Case{
		{Name: "the default of 30 seconds", New: `kind: StatefulSet`},
		{Name: "ten minutes to hand over", New: `{kind: StatefulSet, spec: {template: {spec: {terminationGracePeriodSeconds: 600}}}}`},
		{
			Name: "no time at all", New: `{kind: StatefulSet, spec: {template: {spec: {terminationGracePeriodSeconds: 0}}}}`,
			Want: []string{"zero"},
		},
	},
}

func givesTimeToStop(o Object, _ Cluster, _ v1alpha1.TerminationGrace) ([]Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if grace := set.Spec.Template.Spec.TerminationGracePeriodSeconds; grace == nil || *grace > 0 {
		return nil, nil
	}
	return []Finding{{
		Check: "zero", Path: "spec.template.spec.terminationGracePeriodSeconds",
		Message: fmt.Sprintf("The Pods of StatefulSet %s are killed without time to stop: writes may be lost, and two Pods may write to one volume.", set.Name),
		Remedy:  "set spec.template.spec.terminationGracePeriodSeconds to the time a clean stop takes, or leave it out for 30.",
	}}, nil
}
