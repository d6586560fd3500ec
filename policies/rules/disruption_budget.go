package rules

import (
	"fmt"

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
	Doc: `A drain evicts every Pod of a node, and several drains at once evict several members: only a PodDisruptionBudget makes
them wait for each other. One that allows no Pod to be away blocks every drain for ever, until somebody deletes it in anger;
and the eviction API refuses a Pod that two budgets select. The budget may be applied after the StatefulSet: a missing one
is only worth a warning.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks: []policies.Check{
		{Name: "none", Doc: "no PodDisruptionBudget selects the Pods"},
		{Name: "stuck", Doc: "the budget allows no Pod to be away, so that no node can be drained"},
		{Name: "several", Doc: "more than one budget selects the Pods, so that none of them can be evicted"},
	},
	Logic: policies.Typed[v1alpha1.DisruptionBudget]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.DisruptionBudget { return &r.DisruptionBudget },
		Baseline:   &v1alpha1.DisruptionBudget{Enforcement: warn},
		Restricted: &v1alpha1.DisruptionBudget{Enforcement: warn},
		Object:     hasBudget,
	},
}

func hasBudget(o kinds.Object, c policies.Cluster, _ v1alpha1.DisruptionBudget) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	replicas := statefulset.OrdinalsOf(set).Count()
	if replicas < 1 {
		return nil, nil
	}
	budgets, known, err := policies.List[*policyv1.PodDisruptionBudget](c, set.Namespace)
	if err != nil {
		return nil, err
	}
	own := statefulset.BudgetsOf(set, budgets)
	f := policies.Finding{Path: "spec.replicas"}
	switch {
	case len(own) == 0 && replicas == 1:
		return nil, nil
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
	default:
		return nil, nil
	}
	return []policies.Finding{f}, nil
}

// addBudget adds a budget that lets one of the StatefulSet's Pods be away.
func addBudget(set *appsv1.StatefulSet) *policies.Fix {
	budget := kinds.PodDisruptionBudget.New().(*policyv1.PodDisruptionBudget)
	budget.Name, budget.Namespace = set.Name, set.Namespace
	budget.Spec = policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: set.Spec.Selector}
	fix := &policies.Fix{Object: budget, Add: true}
	if !statefulset.Selects(set.Spec.Selector, set.Spec.Template.Labels) {
		fix.Undecided = "its selector does not select its Pods, so that no PodDisruptionBudget can be made of it"
	}
	return fix
}

// letOneBeAway has a budget allow what it does not.
func letOneBeAway(b *policyv1.PodDisruptionBudget) *policies.Fix {
	return &policies.Fix{
		Object: b, Set: []policies.Setting{{Path: "spec.minAvailable"}, {Path: "spec.maxUnavailable", Value: int64(1)}},
		Undecided: "somebody may mean to be asked before each drain; to let one Pod be away, set maxUnavailable: 1 in place of what it has",
	}
}
