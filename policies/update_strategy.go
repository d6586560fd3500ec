package policies

import (
	"cmp"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var updateStrategy = Rule{
	ID:    "update-strategy",
	Block: "updateStrategy",
	Title: "A rollout keeps the majority",
	Doc: `A rolling update takes Pods from the highest ordinal down, up to maxUnavailable at a time (KEP-961). Where that is
more than the members can lose and still have a majority, the rollout itself is the outage. A partition holds back the
Pods with the lowest ordinals: one that is not smaller than replicas holds back every Pod, so that a new template is
accepted and nothing ever happens. The policy can give a default for the type and its parameters, and require a type.`,
	Severity: Medium,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks: []Check{
		{"required", "the type is not the one the policy requires"},
		{"quorum", "maxUnavailable is more than a majority can lose"},
		{"partition", "the partition leaves every Pod at the old revision"},
	},
	blocks: typed(logic[v1alpha1.UpdateStrategy]{
		params: func(r *v1alpha1.Rules) *v1alpha1.UpdateStrategy { return r.UpdateStrategy },
		object: rollsSafely,
		fills:  func(p v1alpha1.UpdateStrategy) bool { return p.Default != nil },
		fill:   fillUpdateStrategy,
	}),
	Cases: []Case{
		{Name: "one Pod at a time", New: `kind: StatefulSet`},
		{
			Name: "two of three at a time",
			New:  `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 2}}}}`,
			Want: []string{"quorum"},
		},
		{
			Name: "two of five at a time",
			New:  `{kind: StatefulSet, spec: {replicas: 5, updateStrategy: {rollingUpdate: {maxUnavailable: 2}}}}`,
		},
		{
			Name: "a percentage that takes all three",
			New:  `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 100%}}}}`,
			Want: []string{"quorum"},
		},
		{
			Name: "a partition that leaves every Pod behind",
			New:  `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 3}}}}`,
			Want: []string{"partition"},
		},
		{
			Name: "a partition for a canary",
			New:  `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 2}}}}`,
		},
		{
			Name: "OnDelete where RollingUpdate is required", Policy: "action: Deny, require: RollingUpdate",
			New:  `{kind: StatefulSet, spec: {updateStrategy: {type: OnDelete}}}`,
			Want: []string{"required"},
		},
		{
			Name: "fewer replicas under the same partition",
			Old:  `{kind: StatefulSet, spec: {replicas: 5, updateStrategy: {rollingUpdate: {partition: 5}}}}`,
			New:  `{kind: StatefulSet, spec: {replicas: 4, updateStrategy: {rollingUpdate: {partition: 5}}}}`,
			Want: []string{"partition:Warn"},
		},
	},
}

const strategyPath = "spec.updateStrategy"

func rollsSafely(o Object, _ Cluster, p v1alpha1.UpdateStrategy) ([]Finding, error) {
	set := o.(*appsv1.StatefulSet)
	strategy, replicas := set.Spec.UpdateStrategy, rangeOf(set).count()
	var found []Finding
	if p.Require != "" && strategy.Type != p.Require {
		found = append(found, Finding{
			Check: "required", Path: strategyPath + ".type",
			Message: fmt.Sprintf("The update strategy of StatefulSet %s is %s; the policy requires %s.", set.Name, strategy.Type, p.Require),
			Remedy:  fmt.Sprintf("set %s.type: %s", strategyPath, p.Require),
		})
	}
	rolling := strategy.RollingUpdate
	if rolling == nil || strategy.Type != appsv1.RollingUpdateStatefulSetStrategyType || replicas == 0 {
		return found, nil
	}
	// One Pod has to go at a time, however few there are.
	canLose := max(1, (replicas-1)/2)
	if taken := unavailable(rolling.MaxUnavailable, replicas); taken > canLose {
		found = append(found, Finding{
			Check: "quorum", Path: strategyPath + ".rollingUpdate.maxUnavailable", Action: p.Quorum, Excess: taken - canLose,
			Message: fmt.Sprintf("maxUnavailable %s lets a rollout of StatefulSet %s take %d of its %s at once; a majority can lose %d.",
				rolling.MaxUnavailable, set.Name, taken, plural(replicas, "Pod"), canLose),
			Remedy: fmt.Sprintf("set %s.rollingUpdate.maxUnavailable: %d", strategyPath, canLose),
		})
	}
	if rolling.Partition != nil && int64(*rolling.Partition) >= replicas {
		found = append(found, Finding{
			Check: "partition", Path: strategyPath + ".rollingUpdate.partition", Action: p.Partition,
			Message: fmt.Sprintf("Partition %d holds back all %s of StatefulSet %s: a new template is accepted and never rolled out.",
				*rolling.Partition, plural(replicas, "Pod"), set.Name),
			Remedy: fmt.Sprintf("set %s.rollingUpdate.partition to at most %d, or 0 to roll everything.", strategyPath, replicas-1),
		})
	}
	return found, nil
}

// unavailable is how many of the replicas a rolling update takes at a time, computed as the StatefulSet controller does:
// percentages rounded down, and at least one.
func unavailable(limit *intstr.IntOrString, replicas int64) int64 {
	taken, err := intstr.GetScaledValueFromIntOrPercent(cmp.Or(limit, &intstr.IntOrString{IntVal: 1}), int(replicas), false)
	if err != nil {
		return 1
	}
	return min(replicas, max(1, int64(taken)))
}

func fillUpdateStrategy(d *Defaults, p v1alpha1.UpdateStrategy) {
	set := d.Object.(*appsv1.StatefulSet)
	strategy := set.Spec.UpdateStrategy.DeepCopy()
	// The API server adds the block only where the type was absent too: its absence says that the type was written.
	saidRolling := func() bool {
		return strategy.RollingUpdate == nil || d.meant().spoke(d.rule, strategyPath+".rollingUpdate")
	}
	changed := p.Default.Type != "" && !saidRolling() && fill(d, strategyPath+".type", &strategy.Type, p.Default.Type, appsv1.RollingUpdateStatefulSetStrategyType)

	if strategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		rolling := cmp.Or(strategy.RollingUpdate, &appsv1.RollingUpdateStatefulSetStrategy{})
		partition, unavailable := value(rolling.Partition), value(cmp.Or(rolling.MaxUnavailable, &one))
		if fill(d, strategyPath+".rollingUpdate.partition", &partition, value(p.Default.Partition), 0) {
			rolling.Partition, changed = &partition, true
		}
		if fill(d, strategyPath+".rollingUpdate.maxUnavailable", &unavailable, value(p.Default.MaxUnavailable), one) {
			rolling.MaxUnavailable, changed = &unavailable, true
		}
		strategy.RollingUpdate = rolling
	} else {
		// The API server refuses parameters of a rolling update under another type.
		strategy.RollingUpdate = nil
	}
	if changed {
		set.Spec.UpdateStrategy = *strategy
		d.put(strategyPath, strategy)
	}
}

var one = intstr.FromInt32(1)

// value is what a pointer points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}
