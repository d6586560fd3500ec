package rules

import (
	"fmt"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
	appsv1 "k8s.io/api/apps/v1"
)

var memberDown = policies.Rule{
	ID:    "member-down",
	Title: "Every member is ready",
	Doc: `A member that is missing or not ready for longer than --stuck-after (5 minutes) needs attention. If a rollout is
stuck, stuck-rollout reports it instead. Only a live cluster shows this.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet)},
	Checks:   []policies.Check{{Name: "not-ready", Doc: "a member is missing or not ready for longer than --stuck-after"}},
	Logic: policies.Typed[v1alpha1.MemberDown]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.MemberDown { return &r.MemberDown },
		Baseline:   &v1alpha1.MemberDown{Enforcement: warn},
		Restricted: &v1alpha1.MemberDown{Enforcement: warn},
		Observe:    findsMemberDown,
	},
}

func findsMemberDown(o kinds.Object, c policies.Cluster, clock policies.Clock, _ v1alpha1.MemberDown) ([]policies.Finding, error) {
	p, err := progressOf(o.(*appsv1.StatefulSet), c, clock)
	if err != nil || p == nil || len(p.down) == 0 || p.stuck {
		return nil, err
	}
	set, want := p.set, statefulset.OrdinalsOf(p.set).Count()
	return []policies.Finding{{
		Check: "not-ready", Path: "status.readyReplicas",
		Message: fmt.Sprintf("%d of %d members of StatefulSet %s are ready; a majority is %d. Not ready: %s.",
			set.Status.ReadyReplicas, want, set.Name, statefulset.Majority(want), words.List(p.down)),
		Remedy: p.look,
	}}, nil
}
