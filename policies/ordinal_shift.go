package policies

import (
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var ordinalShift = Rule{
	ID:    "ordinal-shift",
	Block: "ordinalShift",
	Title: "A new start ordinal leaves no data behind",
	Doc: `A Pod's ordinal ties it to its claims: db-0 has data-db-0 and nobody else ever will. spec.ordinals.start moves
the whole range (KEP-3335). From start 0 to start 1, three replicas are db-1 to db-3: db-0 stops, its claim lies idle, and
db-3 starts on an empty one, although replicas never changed. A start that keeps every ordinal, because replicas
grow by as much as it falls, only adds Pods and passes.`,
	Severity: High,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Update}}},
	Checks: []Check{
		{"left-behind", "the StatefulSet would not have ordinals any more that have claims"},
	},
	blocks: typed(logic[v1alpha1.OrdinalShift]{
		params: func(r *v1alpha1.Rules) *v1alpha1.OrdinalShift { return r.OrdinalShift },
		change: shiftsNobodyAway,
	}),
	Cases: []Case{
		{
			Name: "the range moves up by one", Ready: []int32{0, 1, 2}, Claims: []int32{0, 1, 2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {ordinals: {start: 1}}}`,
			Want: []string{"left-behind"},
		},
		{
			Name: "the range moves down by one", Ready: []int32{1, 2, 3}, Claims: []int32{1, 2, 3},
			Old: `{kind: StatefulSet, spec: {ordinals: {start: 1}}}`, New: `kind: StatefulSet`,
			Want: []string{"left-behind"},
		},
		{
			Name: "a lower start, and as many more replicas", Ready: []int32{1, 2, 3}, Claims: []int32{1, 2, 3},
			Old: `{kind: StatefulSet, spec: {ordinals: {start: 1}}}`, New: `{kind: StatefulSet, spec: {replicas: 4, ordinals: {start: 0}}}`,
		},
		{
			Name: "a new start for a StatefulSet scaled to zero", Claims: []int32{0, 1, 2},
			Old: `{kind: StatefulSet, spec: {replicas: 0}}`, New: `{kind: StatefulSet, spec: {ordinals: {start: 10}}}`,
		},
		{
			Name: "a new start for ordinals that have no claims yet",
			Old:  `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {ordinals: {start: 1}}}`,
		},
		{
			Name: "a scale-down, which leaves the start alone", Ready: []int32{0, 1, 2}, Claims: []int32{0, 1, 2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
		},
	},
}

func shiftsNobodyAway(ch Change, c Cluster, _ v1alpha1.OrdinalShift) ([]Finding, error) {
	older, newer, ok := statefulSets(ch)
	if !ok || len(older.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	from, to := rangeOf(older), rangeOf(newer)
	left := from.minus(to)
	if from.start == to.start || left.count() == 0 {
		return nil, nil
	}
	f := Finding{
		Check: "left-behind", Path: "spec.ordinals.start",
		Remedy: fmt.Sprintf("leave spec.ordinals.start at %d, and scale up for more Pods: %s scale statefulset %s --replicas=<more>. "+
			"If nobody will miss the data of %s here, say so and try again: %s",
			from.start, kubectl(older), older.Name, podNames(older, left), sayItIsMeant("ordinal-shift", "statefulset", older)),
	}
	moved := fmt.Sprintf("From start %d with %s to start %d with %s, StatefulSet %s has no %s any more",
		from.start, plural(from.count(), "replica"), to.start, plural(to.count(), "replica"), older.Name, podNames(older, left))
	claims, err := c.Claims(older.Namespace)
	switch own := claimsOf(older, claims, left); {
	case errors.Is(err, ErrUnknown):
		f.Unknown = true
		f.Message = moved + ": their claims would lie idle, or be deleted."
	case err != nil:
		return nil, err
	case len(own) == 0:
		return nil, nil
	default:
		f.Message = fmt.Sprintf("%s: the data in %s (%s) would be no Pod's.", moved, plural(len(own), "claim"), names(own))
		if added := to.minus(from); added.count() > 0 {
			f.Message += fmt.Sprintf(" Instead %s would start, not on these claims.", podNames(older, added))
		}
	}
	return []Finding{f}, nil
}
