package rules

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var spread = policies.Rule{
	ID:    "spread",
	Title: "Members run on different nodes",
	Doc: `If several replicas run on one node, its failure stops all of them. By default the scheduler only prefers to
spread Pods. Pod anti-affinity to the StatefulSet's own Pods, or a topology spread constraint that selects them, spreads them
reliably.`,
	Severity: policies.Low,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks:   []policies.Check{{Name: "together", Doc: "all Pods can run on one node"}},
	Logic: policies.Typed[v1alpha1.Spread]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.Spread { return &r.Spread },
		Restricted: &v1alpha1.Spread{Enforcement: warn},
		Object:     spreadsItsPods,
	},
}

func spreadsItsPods(o kinds.Object, _ policies.Cluster, _ v1alpha1.Spread) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if replicas := statefulset.OrdinalsOf(set).Count(); replicas < 2 || keepsApart(&set.Spec.Template) {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "together", Path: "spec.template.spec.topologySpreadConstraints",
		Message: fmt.Sprintf("Nothing keeps the %s of StatefulSet %s from running on one node: its failure stops them all.", words.Plural(statefulset.OrdinalsOf(set).Count(), "Pod"), set.Name),
		Remedy:  "add a topologySpreadConstraint on kubernetes.io/hostname, or a podAntiAffinity, that selects the Pods' own labels.",
	}}, nil
}

// keepsApart reports whether the template asks, strictly or by preference, to spread its Pods.
func keepsApart(template *corev1.PodTemplateSpec) bool {
	selectsOwn := func(s *metav1.LabelSelector) bool { return statefulset.Selects(s, template.Labels) }
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
