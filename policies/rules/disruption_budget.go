package rules

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var disruptionBudget = policies.Rule{
	ID:    "disruption-budget",
	Title: "Drains evict one member at a time",
	Doc: `A drain evicts every Pod of a node, and several drains at the same time evict several members. Only a
PodDisruptionBudget makes them wait for each other. A budget that allows no disruption blocks every drain until somebody
deletes it, and the eviction API refuses to evict a Pod that two budgets select. You can apply the budget after the
StatefulSet, so a missing budget is only a warning.`,
	Severity: policies.Medium,
	On: []policies.Trigger{
		policies.On(kinds.StatefulSet, create, update),
		policies.On(kinds.PodDisruptionBudget, create, update, remove),
	},
	Checks: []policies.Check{
		{Name: "none", Doc: "no PodDisruptionBudget selects the Pods"},
		{Name: "stuck", Doc: "the budget allows no disruption, so nodes cannot be drained"},
		{Name: "last", Doc: "the only budget of a StatefulSet is deleted"},
		{Name: "several", Doc: "more than one budget selects the Pods, so none of them can be evicted"},
	},
	Logic: policies.Typed[v1alpha1.DisruptionBudget]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.DisruptionBudget { return &r.DisruptionBudget },
		Baseline:   &v1alpha1.DisruptionBudget{Enforcement: warn},
		Restricted: &v1alpha1.DisruptionBudget{Enforcement: warn},
		Object:     hasBudget,
		Change:     keepsBudget,
	},
}

func hasBudget(o kinds.Object, c policies.Cluster, _ v1alpha1.DisruptionBudget) ([]policies.Finding, error) {
	set, ok := o.(*appsv1.StatefulSet)
	if !ok || statefulset.OrdinalsOf(set).Count() < 1 {
		return nil, nil
	}
	own, known, err := policies.BudgetsOf(set.Namespace, set.Spec.Template.Labels, c)
	if err != nil {
		return nil, err
	}
	f := judgeBudgets(set, own, known)
	if f.Check == "" {
		return nil, nil
	}
	f.Path = "spec.replicas"
	return []policies.Finding{f}, nil
}

// judgeBudgets judges the budgets that select the StatefulSet's Pods. If known is false, there may be more.
func judgeBudgets(set *appsv1.StatefulSet, own []*policyv1.PodDisruptionBudget, known bool) (f policies.Finding) {
	replicas := statefulset.OrdinalsOf(set).Count()
	switch {
	case len(own) == 0 && replicas == 1:
	case len(own) == 0:
		f.Check, f.Pending = "none", true
		f.Message = fmt.Sprintf("No PodDisruptionBudget selects the %s of StatefulSet %s: draining several nodes can evict the majority at once.", words.Plural(replicas, "Pod"), set.Name)
		if !known {
			f.Unknown = true
			f.Message = fmt.Sprintf("No PodDisruptionBudget in the files selects the %s of StatefulSet %s: draining several nodes can evict the majority at once.", words.Plural(replicas, "Pod"), set.Name)
		}
		f.Fix = addBudget(set)
	case len(own) > 1:
		f.Check = "several"
		f.Message = fmt.Sprintf("PodDisruptionBudgets %s all select the Pods of StatefulSet %s: the eviction API does not evict a Pod with more than one, so a node that runs one cannot be drained.", words.Names(own), set.Name)
		f.Remedy = "keep one of them."
	case statefulset.Promised(own[0], replicas) >= replicas:
		f.Check = "stuck"
		f.Message = fmt.Sprintf("PodDisruptionBudget %s allows none of the %s of StatefulSet %s to be evicted: a node that runs one cannot be drained.", own[0].Name, words.Plural(replicas, "Pod"), set.Name)
		if replicas == 1 {
			f.Message = fmt.Sprintf("PodDisruptionBudget %s does not allow the only Pod of StatefulSet %s to be evicted: its node cannot be drained.", own[0].Name, set.Name)
		}
		f.Fix = letOneBeAway(own[0])
	}
	return f
}

// keepsBudget judges a new, changed or deleted budget for the StatefulSets that it selects.
func keepsBudget(ch policies.Change, c policies.Cluster, _ v1alpha1.DisruptionBudget) ([]policies.Finding, error) {
	budget, ok := ch.Object().(*policyv1.PodDisruptionBudget)
	if !ok {
		return nil, nil
	}
	var sets []*appsv1.StatefulSet
	for _, o := range []kinds.Object{ch.Old, ch.New} {
		if b, ok := o.(*policyv1.PodDisruptionBudget); ok {
			selected, err := policies.SelectedBy(b.Spec.Selector, b.Namespace, c)
			if err != nil {
				return nil, err
			}
			sets = append(sets, selected...)
		}
	}
	slices.SortFunc(sets, func(a, b *appsv1.StatefulSet) int { return strings.Compare(a.Name, b.Name) })
	sets = slices.CompactFunc(sets, func(a, b *appsv1.StatefulSet) bool { return a.Name == b.Name })
	var found []policies.Finding
	for _, set := range sets {
		if ch.New == nil && sameRelease(budget, set) {
			continue
		}
		others, _, err := policies.BudgetsOf(set.Namespace, set.Spec.Template.Labels, c)
		if err != nil {
			return nil, err
		}
		others = slices.DeleteFunc(others, func(b *policyv1.PodDisruptionBudget) bool { return b.Name == budget.Name })
		before, after := with(others, ch.Old, set), with(others, ch.New, set)
		f := judgeBudgets(set, after, true)
		if f.Check == "" || f.Check == judgeBudgets(set, before, true).Check || f.Check == "none" && ch.New != nil {
			continue
		}
		if f.Check == "none" {
			f.Check, f.Pending, f.Fix = "last", false, nil
			f.Message = fmt.Sprintf("PodDisruptionBudget %s is the only one of StatefulSet %s: without it, draining several nodes can evict the majority of its %s at once.",
				budget.Name, set.Name, words.Plural(statefulset.OrdinalsOf(set).Count(), "Pod"))
			f.Remedy = "keep it. To let a blocked drain continue, raise maxUnavailable."
		}
		f.Path = "spec.selector"
		found = append(found, f)
	}
	if len(found) > 0 && ch.New == nil {
		if decided, err := ch.Decided(c); decided || err != nil {
			return nil, err
		}
	}
	return found, nil
}

// with returns the budgets and, if the object is a budget that selects the StatefulSet's Pods, that one.
func with(budgets []*policyv1.PodDisruptionBudget, o kinds.Object, set *appsv1.StatefulSet) []*policyv1.PodDisruptionBudget {
	if budget, ok := o.(*policyv1.PodDisruptionBudget); ok && statefulset.Selects(budget.Spec.Selector, set.Spec.Template.Labels) {
		return append(slices.Clone(budgets), budget)
	}
	return budgets
}

// addBudget returns the fix that adds a budget with maxUnavailable 1.
func addBudget(set *appsv1.StatefulSet) *policies.Fix {
	budget := kinds.PodDisruptionBudget.New().(*policyv1.PodDisruptionBudget)
	budget.Name, budget.Namespace = set.Name, set.Namespace
	budget.Spec = policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: set.Spec.Selector}
	fix := &policies.Fix{Object: budget, Add: true}
	if !statefulset.Selects(set.Spec.Selector, set.Spec.Template.Labels) {
		fix.Undecided = "its selector does not select its Pods, so it cannot be used in a PodDisruptionBudget"
	}
	return fix
}

// letOneBeAway returns the fix that makes a budget allow one disruption.
func letOneBeAway(b *policyv1.PodDisruptionBudget) *policies.Fix {
	return &policies.Fix{
		Object: b, Set: []policies.Setting{{Path: "spec.minAvailable"}, {Path: "spec.maxUnavailable", Value: int64(1)}},
		Undecided: "its owner may want to be asked before each drain. To allow one disruption, set maxUnavailable: 1 instead",
	}
}
