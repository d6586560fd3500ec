package policies

import (
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var spread = Rule{
	ID:    "spread",
	Block: "spread",
	Title: "Members do not share a node's fate",
	Doc: `Several replicas on one node are lost together when it is. The scheduler's own spreading is a preference that yields to
many others; anti-affinity to the StatefulSet's own Pods, or a topology spread constraint that selects them, says that it is
meant.`,
	Severity: Low,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks:   []Check{{"together", "nothing keeps the Pods from sharing a node"}},
	blocks: typed(logic[v1alpha1.Spread]{
		params: func(r *v1alpha1.Rules) *v1alpha1.Spread { return r.Spread },
		object: spreadsItsPods,
	}),
	Cases: []Case{
		{
			Name: "anti-affinity to its own Pods",
			New: `{kind: StatefulSet, spec: {template: {spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
       {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}]}}}}}}`,
		},
		{
			Name: "a topology spread constraint",
			New: `{kind: StatefulSet, spec: {template: {spec: {topologySpreadConstraints: [
       {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: db}}}]}}}}`,
		},
		{Name: "a single replica", New: `{kind: StatefulSet, spec: {replicas: 1}}`},
		{Name: "three replicas anywhere", New: `kind: StatefulSet`, Want: []string{"together"}},
		{
			Name: "a constraint that selects other Pods",
			New: `{kind: StatefulSet, spec: {template: {spec: {topologySpreadConstraints: [
       {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}]}}}}`,
			Want: []string{"together"},
		},
	},
}

func spreadsItsPods(o Object, _ Cluster, _ v1alpha1.Spread) ([]Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if replicas := rangeOf(set).count(); replicas < 2 || keepsApart(&set.Spec.Template) {
		return nil, nil
	}
	return []Finding{{
		Check: "together", Path: "spec.template.spec.topologySpreadConstraints",
		Message: fmt.Sprintf("Nothing keeps the %s of StatefulSet %s from sharing a node, and with it the majority.", plural(rangeOf(set).count(), "Pod"), set.Name),
		Remedy:  "add a topologySpreadConstraint on kubernetes.io/hostname, or a podAntiAffinity, that selects the Pods' own labels.",
	}}, nil
}

// keepsApart tells whether the Pods of the template are to be kept apart from each other, strictly or by preference.
func keepsApart(template *corev1.PodTemplateSpec) bool {
	own := labels.Set(template.Labels)
	selectsOwn := func(s *metav1.LabelSelector) bool {
		selector, err := metav1.LabelSelectorAsSelector(s)
		return err == nil && selector.Matches(own)
	}
	term := func(t corev1.PodAffinityTerm) bool { return selectsOwn(t.LabelSelector) }
	if slices.ContainsFunc(template.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool { return selectsOwn(c.LabelSelector) }) {
		return true
	}
	affinity := template.Spec.Affinity
	if affinity == nil || affinity.PodAntiAffinity == nil {
		return false
	}
	return slices.ContainsFunc(affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, term) ||
		slices.ContainsFunc(affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
			func(t corev1.WeightedPodAffinityTerm) bool { return term(t.PodAffinityTerm) })
}
