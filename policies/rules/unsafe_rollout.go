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

var unsafeRollout = policies.Rule{
	ID:    "unsafe-rollout",
	Title: "A rollout starts while the members are ready",
	Doc: `If a rolling update begins while a member is down, its effect depends on podManagementPolicy. With Parallel it
continues: up to Kubernetes 1.36 it replaces the highest ordinal next, and from 1.37 on as many healthy Pods as maxUnavailable
allows beyond those that are down. Both can lose the majority. With OrderedReady it waits until the member is ready, forever
if necessary, even if the new template would repair the member; then you must delete that Pod yourself. A new template, a
lower partition, and the change from OnDelete to RollingUpdate each begin a rollout. They pass if every Pod is ready, or if
the rollout replaces no healthy Pod.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, update)},
	Checks: []policies.Check{
		{Name: "quorum", Doc: "the rollout would replace a healthy Pod and lose the majority"},
		{Name: "waits", Doc: "the rollout waits until a member is ready again (at most a warning)"},
	},
	Logic: policies.Typed[v1alpha1.UnsafeRollout]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.UnsafeRollout { return &r.UnsafeRollout },
		Baseline:   &v1alpha1.UnsafeRollout{Enforcement: warn},
		Restricted: &v1alpha1.UnsafeRollout{Enforcement: deny},
		Change:     rollsOutSafely,
	},
}

// rollout is a rolling update that a change starts.
type rollout struct {
	set *appsv1.StatefulSet
	// path is the field that starts it.
	path string
	// members are the ordinals before and after the change, pods their Pods.
	members statefulset.Ordinals
	pods    map[int64]*corev1.Pod
	// behind reports whether the rollout replaces the member's Pod.
	behind func(int64) bool
}

func rollsOutSafely(ch policies.Change, c policies.Cluster, p v1alpha1.UnsafeRollout) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if ok && newer.Spec.UpdateStrategy.Type == appsv1.RecreateStatefulSetStrategyType {
		return recreates(older, newer, c, p)
	}
	if !ok || statefulset.Settled(older) || !beginsRollout(older, newer) {
		return nil, nil
	}
	pods, known, err := policies.MembersOf(older, c)
	if err != nil || !known {
		return nil, err
	}
	r := rollout{set: newer, path: "spec.template", members: statefulset.OrdinalsOf(older).Overlap(statefulset.OrdinalsOf(newer)), pods: pods}
	first := statefulset.OrdinalsOf(newer).Start + statefulset.Partition(newer)
	same := statefulset.SameTemplate(older, newer)
	if same {
		r.path = strategyPath
	}
	r.behind = func(n int64) bool {
		pod := pods[n]
		return n >= first && r.members.Has(n) && pod != nil &&
			!(same && pod.Labels[appsv1.ControllerRevisionHashLabelKey] == older.Status.UpdateRevision)
	}
	if newer.Spec.PodManagementPolicy == appsv1.ParallelPodManagement {
		return r.quorum(p), nil
	}
	return r.waits(p), nil
}

// recreates judges a new template with an update strategy that deletes all Pods at once.
func recreates(older, newer *appsv1.StatefulSet, c policies.Cluster, p v1alpha1.UnsafeRollout) ([]policies.Finding, error) {
	if statefulset.SameTemplate(older, newer) || statefulset.OrdinalsOf(newer).Count() < 2 {
		return nil, nil
	}
	pods, known, err := policies.MembersOf(older, c)
	if !known || err != nil {
		return nil, err
	}
	r := rollout{set: newer, members: statefulset.OrdinalsOf(older), pods: pods}
	up, _ := r.state()
	if up == 0 {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "quorum", Path: "spec.template", Action: p.Quorum,
		Message: fmt.Sprintf("The update strategy Recreate deletes all Pods of StatefulSet %s at once: 0 of %s would remain.", newer.Name, words.Plural(up, "Pod")),
		Remedy:  fmt.Sprintf("replace them one by one: set %s.type: RollingUpdate", strategyPath),
	}}, nil
}

// beginsRollout reports whether the change replaces Pods that would otherwise stay.
func beginsRollout(older, newer *appsv1.StatefulSet) bool {
	was, is := older.Spec.UpdateStrategy, newer.Spec.UpdateStrategy
	if is.Type != appsv1.RollingUpdateStatefulSetStrategyType {
		return false
	}
	freed := was.Type != is.Type || statefulset.Partition(newer) < statefulset.Partition(older)
	return freed && older.Status.UpdateRevision != older.Status.CurrentRevision ||
		!statefulset.SameTemplate(older, newer)
}

// taken returns the healthy Pods that the rollout replaces at once, and whether that is certain.
func (r *rollout) taken(down int64) (statefulset.Ranges, bool) {
	var behind []int64
	for n := range r.pods {
		if r.behind(n) {
			behind = append(behind, n)
		}
	}
	slices.SortFunc(behind, func(a, b int64) int { return cmp.Compare(b, a) })
	var healthy statefulset.Ranges
	for _, n := range behind {
		if statefulset.Ready(r.pods[n]) {
			healthy = append(healthy, statefulset.One(n))
		}
	}
	rolling := r.set.Spec.UpdateStrategy.RollingUpdate
	if rolling != nil && rolling.MaxUnavailable != nil {
		// The API server stores maxUnavailable only if the controller supports it.
		most := max(0, statefulset.MaxUnavailable(rolling.MaxUnavailable, statefulset.OrdinalsOf(r.set).Count())-down)
		return healthy[:min(most, int64(len(healthy)))], true
	}
	if len(behind) == 0 || !statefulset.Ready(r.pods[behind[0]]) {
		return nil, true
	}
	return healthy[:1], rolling != nil
}

func (r *rollout) quorum(p v1alpha1.UnsafeRollout) []policies.Finding {
	up, down := r.state()
	majority := statefulset.Majority(r.members.Count())
	taken, certain := r.taken(r.members.Count() - up)
	left := up - taken.Count()
	if up == r.members.Count() || taken.Count() == 0 || left >= majority {
		return nil
	}
	f := policies.Finding{
		Check: "quorum", Path: r.path, Action: p.Quorum, Unknown: !certain,
		Message: fmt.Sprintf("%d of the %s of StatefulSet %s are ready, and the rollout replaces %s first, which leaves %d; a majority is %d.",
			up, words.Plural(r.members.Count(), "member"), r.set.Name, statefulset.PodNames(r.set, taken), left, majority),
		Remedy: fmt.Sprintf("wait until the others are ready: %s --for=jsonpath='{.status.readyReplicas}'=%d --timeout=5m", policies.Command("wait", r.set), r.members.Count()),
	}
	if len(down) > 0 {
		pod := fmt.Sprintf("%s-%d", r.set.Name, down[0].Start)
		f.Message += fmt.Sprintf(" Not ready: %s.", statefulset.PodNames(r.set, down))
		f.Remedy = fmt.Sprintf("get %[2]s ready first: %[1]s describe pod %[2]s. "+
			"If the new template repairs it, apply it with spec.updateStrategy.type: OnDelete, run %[1]s delete pod %[2]s, then set RollingUpdate again.",
			policies.Kubectl(r.set), pod)
	}
	return []policies.Finding{f}
}

func (r *rollout) waits(p v1alpha1.UnsafeRollout) []policies.Finding {
	_, down := r.state()
	anyBehind := false
	for n := range r.pods {
		anyBehind = anyBehind || r.behind(n)
	}
	if len(down) == 0 || !anyBehind {
		return nil
	}
	pod := fmt.Sprintf("%s-%d", r.set.Name, down[0].Start)
	f := policies.Finding{
		Check: "waits", Path: r.path, Action: cmp.Or(p.Waits, p.Action.AtMost(v1alpha1.Warn)),
		Message: fmt.Sprintf("The rollout waits for Pod %s, which is not ready, and starts when it is.", pod),
		Remedy:  fmt.Sprintf("see why it is not ready: %s describe pod %s", policies.Kubectl(r.set), pod),
	}
	if r.behind(down[0].Start) {
		f.Message = fmt.Sprintf("The rollout waits for Pod %s, which is not ready, and does not replace it.", pod)
		f.Remedy = fmt.Sprintf("if the new template repairs it: %s delete pod %s", policies.Kubectl(r.set), pod)
	}
	return []policies.Finding{f}
}

// state returns how many members are ready, and the existing ones that are not, lowest first.
func (r *rollout) state() (up int64, down statefulset.Ranges) {
	for n, pod := range r.pods {
		switch {
		case !r.members.Has(n):
		case statefulset.Ready(pod):
			up++
		case pod.DeletionTimestamp == nil:
			down = append(down, statefulset.One(n))
		}
	}
	slices.SortFunc(down, func(a, b statefulset.Ordinals) int { return cmp.Compare(a.Start, b.Start) })
	return up, down
}
