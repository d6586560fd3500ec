package rules

import (
	"cmp"
	"fmt"
	"time"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
	appsv1 "k8s.io/api/apps/v1"
)

var stuckRollout = policies.Rule{
	ID:    "stuck-rollout",
	Title: "A rollout makes progress",
	Doc: `A rolling update waits for each Pod to be ready before it replaces the next one. If nothing has changed for
longer than --stuck-after (5 minutes), somebody must act. A rollback alone does not help, because the controller does not
replace a Pod that never became ready. Only a live cluster shows this.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet)},
	Checks:   []policies.Check{{Name: "no-progress", Doc: "a rollout has made no progress for longer than --stuck-after"}},
	Logic: policies.Typed[v1alpha1.StuckRollout]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.StuckRollout { return &r.StuckRollout },
		Baseline:   &v1alpha1.StuckRollout{Enforcement: warn},
		Restricted: &v1alpha1.StuckRollout{Enforcement: warn},
		Observe:    findsStuckRollout,
	},
}

func findsStuckRollout(o kinds.Object, c policies.Cluster, clock policies.Clock, _ v1alpha1.StuckRollout) ([]policies.Finding, error) {
	p, err := progressOf(o.(*appsv1.StatefulSet), c, clock)
	if err != nil || p == nil || !p.stuck {
		return nil, err
	}
	set := p.set
	message := fmt.Sprintf("The rollout of StatefulSet %s is stuck: %d of %s have the new revision, and nothing has changed since %s.",
		set.Name, set.Status.UpdatedReplicas, words.Plural(statefulset.OrdinalsOf(set).Count(), "Pod"), p.moved.UTC().Format(time.RFC3339))
	if len(p.down) > 0 {
		message += " Not ready: " + words.List(p.down) + "."
	}
	return []policies.Finding{{
		Check: "no-progress", Path: "status.updatedReplicas", Message: message,
		Remedy: fmt.Sprintf("%s. To roll back: %s, then delete the Pod that is not ready, because the controller does not replace it", p.look, rollBack(set)),
	}}, nil
}

// progress is what a StatefulSet still lacks of its spec.
type progress struct {
	set *appsv1.StatefulSet
	// stuck means that a rollout has made no progress since moved.
	stuck bool
	moved time.Time
	// down names the members that have been down for too long, with the reason.
	down []string
	// look is the command that shows the cause.
	look string
}

// mostMembers is how many members are examined, because replicas can be any number.
const mostMembers = 1000

// progressOf returns nil if all is well or the state is unknown.
func progressOf(set *appsv1.StatefulSet, c policies.Cluster, clock policies.Clock) (*progress, error) {
	all, behind := statefulset.OrdinalsOf(set), statefulset.Behind(set)
	if set.DeletionTimestamp != nil || int64(set.Status.ReadyReplicas) >= all.Count() && behind == 0 {
		return nil, nil
	}
	pods, known, err := policies.MembersOf(set, c)
	if err != nil || !known {
		return nil, err
	}
	p := &progress{set: set, moved: set.CreationTimestamp.Time}
	for n := all.Start; n < min(all.End, all.Start+mostMembers); n++ {
		name, pod := statefulset.PodName(set, n), pods[n]
		if pod == nil {
			if clock.Over(set.CreationTimestamp.Time) {
				p.note(name, "does not exist", policies.Command("describe", set))
			}
			continue
		}
		since := statefulset.ReadySince(pod)
		if since.After(p.moved) {
			p.moved = since
		}
		if !statefulset.Ready(pod) && clock.Over(since) {
			why := cmp.Or(statefulset.WaitingFor(pod), "not ready")
			p.note(name, fmt.Sprintf("%s since %s", why, since.UTC().Format(time.RFC3339)), policies.Kubectl(set)+" describe pod "+name)
		}
	}
	p.stuck = behind > 0 && clock.Over(p.moved)
	if p.look == "" {
		p.look = fmt.Sprintf("look at the Events: %s get events --field-selector involvedObject.name=%s", policies.Kubectl(set), set.Name)
	}
	return p, nil
}

func (p *progress) note(pod, why, look string) {
	p.down = append(p.down, fmt.Sprintf("%s (%s)", pod, why))
	if p.look == "" {
		p.look = "see why: " + look
	}
}
