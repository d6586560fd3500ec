package rules

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var scaleUp = policies.Rule{
	ID:    "scale-up",
	Title: "A scale-up does not add an empty majority",
	Doc: `New members start on new, empty claims. If they are a majority, as when two members join one, they can elect a
leader among themselves before they have copied any data. The data of the old members is then discarded or not served. If you
add one member at a time, each copies the data first. New members whose claims an earlier scale-down retained are not empty.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, update)},
	Checks:   []policies.Check{{Name: "empty-majority", Doc: "more than half of the members would be new and empty"}},
	Logic: policies.Typed[v1alpha1.ScaleUp]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ScaleUp { return &r.ScaleUp },
		Baseline:   &v1alpha1.ScaleUp{Enforcement: warn},
		Restricted: &v1alpha1.ScaleUp{Enforcement: warn},
		Change:     addsNoMajority,
	},
}

// mostVoters is more members than any quorum has.
const mostVoters = 100

func addsNoMajority(ch policies.Change, c policies.Cluster, _ v1alpha1.ScaleUp) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || len(newer.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	before, after := statefulset.OrdinalsOf(older), statefulset.OrdinalsOf(newer)
	added := after.Minus(before)
	if before.Count() == 0 || before.Minus(after).Count() > 0 || after.Count() > mostVoters || added.Count() <= after.Count()/2 {
		return nil, nil
	}
	var empty int64
	for n := range added.All() {
		claim, _, err := policies.Get[*corev1.PersistentVolumeClaim](c, newer.Namespace, fmt.Sprintf("%s-%s-%d", newer.Spec.VolumeClaimTemplates[0].Name, newer.Name, n))
		if err != nil {
			return nil, err
		}
		if claim == nil {
			empty++
		}
	}
	if empty <= after.Count()/2 {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "empty-majority", Path: "spec.replicas",
		Message: fmt.Sprintf("Scaling StatefulSet %s from %d to %d adds %s, which are a majority without the data of %s.",
			newer.Name, before.Count(), after.Count(), words.Plural(int(empty), "empty member"), statefulset.PodNames(older, statefulset.Ranges{before})),
		Remedy: fmt.Sprintf("add one member at a time, and wait until it has copied the data: %s --replicas=%d",
			policies.Command("scale", newer), before.Count()+1),
	}}, nil
}
