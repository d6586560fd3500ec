package policies

import (
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var disruptionBudget = Rule{
	ID:    "disruption-budget",
	Block: "disruptionBudget",
	Title: "Node maintenance takes one member at a time",
	Doc: `A drain evicts every Pod of a node, and several drains at once evict several members: only a PodDisruptionBudget makes
them wait for each other. One that allows no Pod to be away blocks every drain for ever, until somebody deletes it in anger;
and the eviction API refuses a Pod that two budgets select. The budget may be applied after the StatefulSet: a missing one
is only worth a warning.`,
	Severity: Medium,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks: []Check{
		{"none", "no PodDisruptionBudget selects the Pods"},
		{"stuck", "the budget allows no Pod to be away, so that no node can be drained"},
		{"several", "more than one budget selects the Pods, so that none of them can be evicted"},
	},
	blocks: typed(logic[v1alpha1.DisruptionBudget]{
		params: func(r *v1alpha1.Rules) *v1alpha1.DisruptionBudget { return r.DisruptionBudget },
		object: hasBudget,
	}),
	Cases: []Case{
		{Name: "a budget that allows one to be away", New: `kind: StatefulSet`, Given: []string{`{kind: PodDisruptionBudget, spec: {maxUnavailable: 1}}`}},
		{Name: "a single replica", New: `{kind: StatefulSet, spec: {replicas: 1}}`},
		{Name: "no budget", New: `kind: StatefulSet`, Want: []string{"none"}},
		{
			Name: "a budget for other Pods", New: `kind: StatefulSet`,
			Given: []string{`{kind: PodDisruptionBudget, spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}}`}, Want: []string{"none"},
		},
		{
			Name: "a budget that wants all three", New: `kind: StatefulSet`,
			Given: []string{`{kind: PodDisruptionBudget, spec: {minAvailable: 3}}`}, Want: []string{"stuck"},
		},
		{
			Name: "two budgets", New: `kind: StatefulSet`,
			Given: []string{`{kind: PodDisruptionBudget, spec: {maxUnavailable: 1}}`, `{kind: PodDisruptionBudget, metadata: {name: db-2}, spec: {minAvailable: 2}}`},
			Want:  []string{"several"},
		},
	},
}

func hasBudget(o Object, c Cluster, _ v1alpha1.DisruptionBudget) ([]Finding, error) {
	set := o.(*appsv1.StatefulSet)
	replicas := rangeOf(set).count()
	if replicas < 2 {
		return nil, nil
	}
	budgets, err := c.Budgets(set.Namespace)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	own := budgetsOf(set, budgets)
	f := Finding{Path: "spec.replicas"}
	switch {
	case len(own) == 0:
		f.Check, f.Pending = "none", true
		f.Message = fmt.Sprintf("No PodDisruptionBudget selects the %s of StatefulSet %s: drains of several nodes may take the majority at once.", plural(replicas, "Pod"), set.Name)
		if err != nil {
			f.Unknown = true
			f.Message = fmt.Sprintf("A PodDisruptionBudget that selects the %s of StatefulSet %s is not among the files: without one, drains of several nodes may take the majority at once.", plural(replicas, "Pod"), set.Name)
		}
		f.Remedy = fmt.Sprintf("%s create poddisruptionbudget %s --selector='%s' --max-unavailable=1",
			kubectl(set), set.Name, metav1.FormatLabelSelector(set.Spec.Selector))
	case len(own) > 1:
		f.Check = "several"
		f.Message = fmt.Sprintf("PodDisruptionBudgets %s all select the Pods of StatefulSet %s: the eviction API refuses Pods with more than one, so that no node can be drained.", names(own), set.Name)
		f.Remedy = "keep one of them."
	case least(own[0], replicas) >= replicas:
		f.Check = "stuck"
		f.Message = fmt.Sprintf("PodDisruptionBudget %s allows none of the %s of StatefulSet %s to be away: no node that runs one can be drained.", own[0].Name, plural(replicas, "Pod"), set.Name)
		f.Remedy = fmt.Sprintf("%s patch poddisruptionbudget %s --type=merge -p '{\"spec\":{\"minAvailable\":null,\"maxUnavailable\":1}}'", kubectl(set), own[0].Name)
	default:
		return nil, nil
	}
	return []Finding{f}, nil
}

// budgetsOf returns those of the budgets that select the StatefulSet's Pods.
func budgetsOf(set *appsv1.StatefulSet, budgets []*policyv1.PodDisruptionBudget) []*policyv1.PodDisruptionBudget {
	var own []*policyv1.PodDisruptionBudget
	for _, b := range budgets {
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err == nil && selector.Matches(labels.Set(set.Spec.Template.Labels)) {
			own = append(own, b)
		}
	}
	return own
}
