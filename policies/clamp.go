package policies

import (
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// clampWithin is how far below the present replicas clamp looks for a safe number.
const clampWithin = 1000

// clamp raises the replicas that an autoscaler asks for to the smallest number that no clamping rule refuses under any policy, at
// most the present one. It does so only if a policy asks for it and the request would be refused. It tries every number, because a
// larger one is not always safer: a member that is down counts only if it stays.
func clamp(rules []Rule, chosen []applied, ch Change, c Cluster) (Filled, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || older.Spec.Replicas == nil || newer.Spec.Replicas == nil {
		return Filled{}, nil
	}
	now, asked := *older.Spec.Replicas, *newer.Spec.Replicas
	rule, policy, ok := clamping(rules, chosen, ch)
	if !ok || asked < 0 || asked >= now {
		return Filled{}, nil
	}
	c = Remember(c)
	refused := func(replicas int32) (bool, error) {
		tried := *newer
		tried.Spec.Replicas = &replicas
		ch.New = &tried
		verdict, err := judgeBy([]Rule{rule}, chosen, ch, c)
		return verdict.Denied(), err
	}
	if no, err := refused(asked); !no || err != nil {
		return Filled{}, err
	}
	safe := max(asked, now-clampWithin)
	for ; safe < now; safe++ {
		if no, err := refused(safe); err != nil {
			return Filled{}, err
		} else if !no {
			break
		}
	}
	return Filled{
		Fields: []FilledField{{Path: "spec.replicas", Rule: rule.ID, Policy: policy.Name, Value: safe}},
		Patch:  []Operation{{Op: "add", Path: "/spec/replicas", Value: safe}},
	}, nil
}

// clamping returns the rule and policy that clamp the request instead of refusing it, if any.
func clamping(rules []Rule, chosen []applied, ch Change) (Rule, applied, bool) {
	for _, policy := range chosen {
		if policy.mode == v1alpha1.ModeAudit {
			continue
		}
		for _, rule := range rules {
			if rule.clamps(ch, &policy.Spec.Rules) {
				return rule, policy, true
			}
		}
	}
	return Rule{}, applied{}, false
}
