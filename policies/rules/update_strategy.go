package rules

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var updateStrategy = policies.Rule{
	ID:    "update-strategy",
	Title: "A rollout keeps the majority",
	Doc: `A rolling update replaces Pods from the highest ordinal down, up to maxUnavailable at a time (KEP-961). If that
is more than the members can lose without losing the majority, the rollout itself is an outage. A partition holds back the
Pods with lower ordinals. A partition that is not smaller than replicas holds back every Pod, so a new template is accepted
but never rolled out. A policy can set a default for the type and its parameters, and require a type.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks: []policies.Check{
		{Name: "required", Doc: "the type differs from the one that the policy requires"},
		{Name: "quorum", Doc: "maxUnavailable is more than a majority can lose"},
		{Name: "partition", Doc: "the partition keeps every Pod at the old revision"},
	},
	Logic: policies.Typed[v1alpha1.UpdateStrategy]{
		Block:    func(r *v1alpha1.Rules) **v1alpha1.UpdateStrategy { return &r.UpdateStrategy },
		Baseline: &v1alpha1.UpdateStrategy{Enforcement: warn},
		Restricted: &v1alpha1.UpdateStrategy{Enforcement: deny,
			// A staged rollout starts with a partition that keeps every Pod.
			Partition: v1alpha1.Warn,
		},
		Object: rollsSafely,
		Fills:  func(p v1alpha1.UpdateStrategy) bool { return p.Default != nil },
		Fill:   fillUpdateStrategy,
		Validate: func(p v1alpha1.UpdateStrategy, _ v1alpha1.Rules, at *field.Path) field.ErrorList {
			if p.Default == nil || p.Default.Type == "" || p.Require == "" || p.Default.Type == p.Require {
				return nil
			}
			return field.ErrorList{field.Invalid(at.Child("default", "type"), p.Default.Type, fmt.Sprintf("the policy requires %s", p.Require))}
		},
	},
}

func rollsSafely(o kinds.Object, _ policies.Cluster, p v1alpha1.UpdateStrategy) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	strategy, replicas := set.Spec.UpdateStrategy, statefulset.OrdinalsOf(set).Count()
	var found []policies.Finding
	if p.Require != "" && strategy.Type != p.Require {
		found = append(found, policies.Finding{
			Check: "required", Path: strategyPath + ".type",
			Message: fmt.Sprintf("The update strategy of StatefulSet %s is %s; the policy requires %s.", set.Name, strategy.Type, p.Require),
			Remedy:  fmt.Sprintf("set %s.type: %s", strategyPath, p.Require),
		})
	}
	if strategy.Type == appsv1.RecreateStatefulSetStrategyType && replicas > 1 {
		found = append(found, policies.Finding{
			Check: "quorum", Path: strategyPath + ".type", Action: p.Quorum, Excess: replicas - max(1, (replicas-1)/2),
			Message: fmt.Sprintf("Recreate deletes all %s of StatefulSet %s at once on every change of the template.", words.Plural(replicas, "Pod"), set.Name),
			Remedy:  fmt.Sprintf("set %s.type: RollingUpdate", strategyPath),
		})
	}
	rolling := strategy.RollingUpdate
	if rolling == nil || strategy.Type != appsv1.RollingUpdateStatefulSetStrategyType || replicas == 0 {
		return found, nil
	}
	// A rollout must replace at least one Pod at a time.
	canLose := max(1, (replicas-1)/2)
	if taken := statefulset.MaxUnavailable(rolling.MaxUnavailable, replicas); taken > canLose {
		found = append(found, policies.Finding{
			Check: "quorum", Path: strategyPath + ".rollingUpdate.maxUnavailable", Action: p.Quorum, Excess: taken - canLose,
			Message: fmt.Sprintf("maxUnavailable %s lets a rollout of StatefulSet %s stop %d of its %s at once; only %d can stop without losing the majority.",
				rolling.MaxUnavailable, set.Name, taken, words.Plural(replicas, "Pod"), canLose),
			Remedy: fmt.Sprintf("set %s.rollingUpdate.maxUnavailable: %d", strategyPath, canLose),
		})
	}
	if rolling.Partition != nil && int64(*rolling.Partition) >= replicas {
		found = append(found, policies.Finding{
			Check: "partition", Path: strategyPath + ".rollingUpdate.partition", Action: p.Partition,
			Message: fmt.Sprintf("Partition %d holds back all %s of StatefulSet %s: a new template is never rolled out.",
				*rolling.Partition, words.Plural(replicas, "Pod"), set.Name),
			Remedy: fmt.Sprintf("set %s.rollingUpdate.partition to at most %d, or 0 to roll out all Pods.", strategyPath, replicas-1),
		})
	}
	return found, nil
}

func fillUpdateStrategy(d *policies.Defaults, p v1alpha1.UpdateStrategy) {
	set := d.Object.(*appsv1.StatefulSet)
	strategy := set.Spec.UpdateStrategy.DeepCopy()
	// The API server adds the block only if the type is absent too, so without the block the user wrote the type.
	saidRolling := func() bool {
		return strategy.RollingUpdate == nil || d.Wrote(strategyPath+".rollingUpdate")
	}
	changed := p.Default.Type != "" && !saidRolling() && policies.Fill(d, strategyPath+".type", &strategy.Type, p.Default.Type, appsv1.RollingUpdateStatefulSetStrategyType)

	if strategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		rolling := cmp.Or(strategy.RollingUpdate, &appsv1.RollingUpdateStatefulSetStrategy{})
		partition, unavailable := ptr.Deref(rolling.Partition, 0), ptr.Deref(rolling.MaxUnavailable, one)
		if policies.Fill(d, strategyPath+".rollingUpdate.partition", &partition, ptr.Deref(p.Default.Partition, 0), 0) {
			rolling.Partition, changed = &partition, true
		}
		if policies.Fill(d, strategyPath+".rollingUpdate.maxUnavailable", &unavailable, ptr.Deref(p.Default.MaxUnavailable, intstr.IntOrString{}), one) {
			rolling.MaxUnavailable, changed = &unavailable, true
		}
		strategy.RollingUpdate = rolling
	} else {
		// The API server refuses rolling update parameters with another type.
		strategy.RollingUpdate = nil
	}
	if changed {
		set.Spec.UpdateStrategy = *strategy
		d.Put(strategyPath, strategy)
	}
}

var one = intstr.FromInt32(1)
