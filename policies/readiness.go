package policies

import (
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var readiness = Rule{
	ID:    "readiness",
	Block: "readiness",
	Title: "Ready means something",
	Doc: `A StatefulSet starts, updates and stops its Pods one after the other, each waiting for the one before it to be ready.
Without a readinessProbe a container is ready as soon as its process runs: a rolling update then goes on to the next member
while this one still replays its log, and takes the majority down step by step. A Pod is asked through its containers, or
through an init container that keeps running.`,
	Severity: Medium,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks:   []Check{{"no-probe", "no container of the Pod has a readinessProbe"}},
	blocks: typed(logic[v1alpha1.Readiness]{
		params: func(r *v1alpha1.Rules) *v1alpha1.Readiness { return r.Readiness },
		object: saysWhenReady,
	}),
	Cases: []Case{
		{
			Name: "a container that says when it is ready",
			New:  `{kind: StatefulSet, spec: {template: {spec: {containers: [{name: db, readinessProbe: {tcpSocket: {port: 5432}}}]}}}}`,
		},
		{
			Name: "a sidecar that says so for the Pod",
			New: `{kind: StatefulSet, spec: {template: {spec: {initContainers: [
       {name: agent, image: registry.example/agent:1, restartPolicy: Always, readinessProbe: {tcpSocket: {port: 8008}}}]}}}}`,
		},
		{Name: "nobody says so", New: `kind: StatefulSet`, Want: []string{"no-probe"}},
	},
}

func saysWhenReady(o Object, _ Cluster, _ v1alpha1.Readiness) ([]Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if probesReadiness(set) {
		return nil, nil
	}
	return []Finding{{
		Check: "no-probe", Path: "spec.template.spec.containers",
		Message: fmt.Sprintf("No container of StatefulSet %s has a readinessProbe: its Pods count as ready before they serve, and a rollout does not wait for them.", set.Name),
		Remedy:  "add a readinessProbe that asks the member whether it serves, such as a command of the database's own client.",
	}}, nil
}

// probesReadiness tells whether any container that runs for as long as the Pod has a readiness probe.
func probesReadiness(set *appsv1.StatefulSet) bool {
	spec := set.Spec.Template.Spec
	probed := func(c corev1.Container) bool { return c.ReadinessProbe != nil }
	return slices.ContainsFunc(spec.Containers, probed) || slices.ContainsFunc(spec.InitContainers, probed)
}
