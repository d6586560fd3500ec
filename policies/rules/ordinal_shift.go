package rules

import (
	"fmt"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var ordinalShift = policies.Rule{
	ID:    "ordinal-shift",
	Title: "A new start ordinal leaves no data behind",
	Doc: `A Pod's ordinal ties it to its claims: only db-0 ever uses data-db-0. spec.ordinals.start moves the whole range
(KEP-3335). For example, with start 1 instead of 0, three replicas are db-1 to db-3: db-0 stops, no Pod uses its claim, and
db-3 starts on an empty claim, although replicas does not change. A change that keeps every ordinal, because replicas grows by
as much as start falls, only adds Pods and passes.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, update)},
	Checks: []policies.Check{
		{Name: "left-behind", Doc: "ordinals with claims would no longer be in the range"},
	},
	Logic: policies.Typed[v1alpha1.OrdinalShift]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.OrdinalShift { return &r.OrdinalShift },
		Baseline:   &v1alpha1.OrdinalShift{Enforcement: deny},
		Restricted: &v1alpha1.OrdinalShift{Enforcement: deny},
		Change:     shiftsNobodyAway,
	},
}

func shiftsNobodyAway(ch policies.Change, c policies.Cluster, _ v1alpha1.OrdinalShift) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || len(older.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	from, to := statefulset.OrdinalsOf(older), statefulset.OrdinalsOf(newer)
	left := from.Minus(to)
	if from.Start == to.Start || left.Count() == 0 {
		return nil, nil
	}
	f := policies.Finding{
		Check: "left-behind", Path: "spec.ordinals.Start",
		Remedy: fmt.Sprintf("keep spec.ordinals.start at %d, and scale up for more Pods: %s --replicas=<more>. "+
			"If nobody needs the data of %s, annotate the StatefulSet and try again: %s",
			from.Start, policies.Command("scale", older), statefulset.PodNames(older, left), policies.BypassCommand("ordinal-shift", older)),
	}
	moved := fmt.Sprintf("Moving from start %d with %s to start %d with %s removes %[6]s of StatefulSet %[5]s",
		from.Start, words.Plural(from.Count(), "replica"), to.Start, words.Plural(to.Count(), "replica"), older.Name, statefulset.PodNames(older, left))
	switch own, known, err := policies.ClaimsOf(older, left, c); {
	case err != nil:
		return nil, err
	case !known && len(own) == 0:
		f.Unknown = true
		f.Message = moved + ": no Pod would use their claims."
	case len(own) == 0:
		return nil, nil
	default:
		f.Message = fmt.Sprintf("%s: no Pod would use the data in %s (%s).", moved, words.Plural(len(own), "claim"), words.Names(own))
		if added := to.Minus(from); added.Count() > 0 {
			f.Message += fmt.Sprintf(" %s would start on other claims.", statefulset.PodNames(older, added))
		}
	}
	return []policies.Finding{f}, nil
}
