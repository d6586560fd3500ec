package rules

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var podDisruption = policies.Rule{
	ID:    "pod-disruption",
	Title: "Members restart one after the other",
	Doc: `A deleted Pod comes back, but until it is ready the other members must do the work. This rule refuses to delete
or evict a ready member if the remaining ready members are not a majority; of two members, one must stay. Pods that are being
deleted count as not ready. PodDisruptionBudgets apply to evictions only, so this rule also checks them for deletes. It
answers an eviction with 429 Too Many Requests, so that kubectl drain and similar tools wait and try again. A Pod that is not
ready may be deleted, and so may the Pods of a StatefulSet that has lost its majority already. Rolling updates, the kubelet,
the scheduler and other controllers of the cluster pass. The operator of the StatefulSet gets a warning.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.Pod, remove)},
	Checks: []policies.Check{
		{Name: "majority", Doc: "the remaining ready members would be no majority"},
		{Name: "budget", Doc: "fewer Pods would be ready than a PodDisruptionBudget requires, which Kubernetes checks for evictions only"},
	},
	Logic: policies.Typed[v1alpha1.PodDisruption]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.PodDisruption { return &r.PodDisruption },
		Baseline:   &v1alpha1.PodDisruption{Enforcement: warn},
		Restricted: &v1alpha1.PodDisruption{Enforcement: deny},
		Change:     leavesEnoughReady,
	},
}

// shortly is how many seconds an eviction waits before it is tried again. client-go silently waits that long ten times before
// kubectl drain shows the reason.
const shortly = 1

func leavesEnoughReady(ch policies.Change, c policies.Cluster, p v1alpha1.PodDisruption) ([]policies.Finding, error) {
	pod := ch.Old.(*corev1.Pod)
	if !statefulset.Ready(pod) || ch.ByNode() {
		return nil, nil
	}
	set, err := policies.StatefulSetOf(pod, c)
	if set == nil || set.DeletionTimestamp != nil || err != nil {
		return nil, err
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	pods, known, err := policies.MembersOf(set, c)
	if !known || err != nil {
		return nil, err
	}
	var found []policies.Finding
	if f, ok := losesMajority(pod, set, pods); ok {
		found = append(found, f)
	}
	if !ch.Eviction {
		broken, err := breaksBudget(pod, pods, c)
		if err != nil {
			return nil, err
		}
		found = append(found, broken...)
	}
	if len(found) > 0 {
		if node, known, err := policies.Get[*corev1.Node](c, "", pod.Spec.NodeName); known && node == nil || err != nil {
			// The Pod was lost with its node.
			return nil, err
		}
	}
	for i := range found {
		found[i].Path, found[i].RetryAfter = "metadata.name", shortly
		found[i].Action = map[string]v1alpha1.Action{"majority": p.Majority, "budget": p.Budget}[found[i].Check]
	}
	return found, nil
}

// keptReady returns how many of the members stay ready while others restart. A majority of one or two is all of them, so there one
// may restart.
func keptReady(members int64) int64 { return min(statefulset.Majority(members), members-1) }

// losesMajority returns a finding if the members need the Pod for a majority. If they have none already, the Pod makes no
// difference.
func losesMajority(pod *corev1.Pod, set *appsv1.StatefulSet, pods map[int64]*corev1.Pod) (policies.Finding, bool) {
	ordinals := statefulset.OrdinalsOf(set)
	members := ordinals.Count()
	needed := keptReady(members)
	var ready int64
	var down statefulset.Ranges
	for n := range (statefulset.Ranges{ordinals}).All() {
		if member := pods[n]; member != nil && statefulset.Ready(member) {
			ready++
		} else if len(down) < 4 {
			down = append(down, statefulset.One(n))
		}
	}
	n, _ := statefulset.OrdinalIn(pod.Name, set.Name)
	if needed <= 0 || ready != needed || !ordinals.Has(n) {
		return policies.Finding{}, false
	}
	enough := fmt.Sprintf("a majority is %d, and Pod %s is one of them", needed, pod.Name)
	if needed == 1 {
		enough = fmt.Sprintf("Pod %s is the last one", pod.Name)
	}
	return policies.Finding{
		Check: "majority",
		Message: fmt.Sprintf("%d of %s of StatefulSet %s are ready; %s. Not ready: %s.",
			ready, words.Plural(members, "member"), set.Name, enough, statefulset.PodNames(set, down)),
		Remedy: fmt.Sprintf("wait until %[1]s is ready: %[2]s wait pod/%[1]s --for=condition=Ready --timeout=5m",
			statefulset.PodName(set, down[0].Start), policies.Kubectl(set)),
	}, true
}

// breaksBudget returns a finding for the budgets that the delete breaks.
func breaksBudget(pod *corev1.Pod, members map[int64]*corev1.Pod, c policies.Cluster) ([]policies.Finding, error) {
	budgets, _, err := policies.BudgetsOf(pod.Namespace, pod.Labels, c)
	var found []policies.Finding
	for _, b := range budgets {
		pods, known, err := policies.PodsUnder(b, members, c)
		if !known || err != nil {
			return found, err
		}
		ready := int64(len(slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !statefulset.Ready(p) })))
		promised := statefulset.Promised(b, cmp.Or(int64(b.Status.ExpectedPods), int64(len(pods))))
		if ready != promised {
			continue
		}
		found = append(found, policies.Finding{
			Check: "budget",
			Message: fmt.Sprintf("PodDisruptionBudget %s requires %s; without Pod %s there would be %d. Kubernetes checks budgets for evictions, but not for deletes.",
				b.Name, words.Plural(promised, "ready Pod"), pod.Name, ready-1),
			Remedy: fmt.Sprintf("wait until ALLOWED DISRUPTIONS is more than 0: %s get poddisruptionbudget %s", policies.Kubectl(pod), b.Name),
		})
	}
	return found, err
}
