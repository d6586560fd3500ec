package policies

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var unsafeRollout = Rule{
	ID:    "unsafe-rollout",
	Block: "unsafeRollout",
	Title: "A rollout begins while everybody is well",
	Doc: `A rolling update that begins while a member is down is one of two things. Under podManagementPolicy Parallel it
goes on: up to Kubernetes 1.36 it takes the highest ordinal next whoever else is down, from 1.37 on as many healthy Pods as
maxUnavailable leaves after those that are down, and either may be the end of the majority. Under OrderedReady it waits, for
ever if need be, and begins at the moment the member is ready, also where the new template is what would repair
it: then that Pod has to be deleted by hand. A new template, a lower partition and the change from OnDelete to
RollingUpdate all begin a rollout. With every Pod ready each of them passes, as it does where no healthy Pod is taken.`,
	Severity: Medium,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Update}}},
	Checks: []Check{
		{"quorum", "the rollout would take a healthy Pod, and the majority with it"},
		{"waits", "the rollout cannot begin before a member is ready again (never more than a warning)"},
	},
	blocks: typed(logic[v1alpha1.UnsafeRollout]{
		params: func(r *v1alpha1.Rules) *v1alpha1.UnsafeRollout { return r.UnsafeRollout },
		change: rollsOutSafely,
	}),
	Cases: []Case{
		{
			Name: "two at a time while a member is down", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel, updateStrategy: {rollingUpdate: {maxUnavailable: 2}}}}`,
			New: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel, updateStrategy: {rollingUpdate: {maxUnavailable: 2}},
       template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
			Want: []string{"quorum"},
		},
		{
			Name: "one at a time while a member is down, which is the one", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel}}`,
			New: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel, template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
		},
		{
			Name: "nobody can tell whether the highest is taken while a member is down", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel, updateStrategy: {type: RollingUpdate}}}`,
			New: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel, updateStrategy: {type: RollingUpdate},
       template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
			Want: []string{"quorum:Warn"},
		},
		{
			Name: "two of five at a time while a member is down", Ready: []int32{1, 2, 3, 4}, NotReady: []int32{0},
			Old: `{kind: StatefulSet, spec: {replicas: 5, podManagementPolicy: Parallel, updateStrategy: {rollingUpdate: {maxUnavailable: 2}}}}`,
			New: `{kind: StatefulSet, spec: {replicas: 5, podManagementPolicy: Parallel, updateStrategy: {rollingUpdate: {maxUnavailable: 2}},
       template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
		},
		{
			Name: "a rollout that waits for a member", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old:  `kind: StatefulSet`,
			New:  `{kind: StatefulSet, spec: {template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
			Want: []string{"waits:Warn"},
		},
		{
			Name: "a rollout while no Pod is there at all", Old: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel}}`,
			New: `{kind: StatefulSet, spec: {podManagementPolicy: Parallel, template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
		},
		{
			Name: "kubectl rollout restart, with every Pod ready", Ready: []int32{0, 1, 2}, Old: `kind: StatefulSet`,
			New: `{kind: StatefulSet, spec: {template: {metadata: {annotations: {kubectl.kubernetes.io/restartedAt: "2026-01-02T03:04:05Z"}}}}}`,
		},
		{
			Name: "a partition that holds every Pod back", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old: `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 3}}}}`,
			New: `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 3}}, template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
		},
		{
			Name: "going on from a canary while a member is down", Ready: []int32{0, 1}, NotReady: []int32{2},
			Old: `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 2}}},
       status: {currentRevision: a, updateRevision: b}}`,
			New: `{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 0}}},
       status: {currentRevision: a, updateRevision: b}}`,
			Want: []string{"waits:Warn"},
		},
		{
			Name: "other strategies take nobody", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old: `{kind: StatefulSet, spec: {updateStrategy: {type: OnDelete}}}`,
			New: `{kind: StatefulSet, spec: {updateStrategy: {type: OnDelete}, template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
		},
		{
			Name: "more replicas while a member is down", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 5}}`,
		},
	},
}

// rollout is a rolling update that a change begins.
type rollout struct {
	set *appsv1.StatefulSet
	// path is the field that begins it.
	path string
	// members are the ordinals that there are before and after, pods what they have.
	members ordinals
	pods    map[int64]*corev1.Pod
	// behind are the members whose Pods the rollout is to replace.
	behind func(int64) bool
}

func rollsOutSafely(ch Change, c Cluster, p v1alpha1.UnsafeRollout) ([]Finding, error) {
	older, newer, ok := statefulSets(ch)
	if !ok || settled(older) || !beginsRollout(older, newer) {
		return nil, nil
	}
	pods, err := podsOf(older, c)
	if err != nil {
		return nil, err
	}
	r := rollout{set: newer, path: "spec.template", members: rangeOf(older).overlap(rangeOf(newer)), pods: pods}
	first := rangeOf(newer).start + int64(value(value(newer.Spec.UpdateStrategy.RollingUpdate).Partition))
	same := sameTemplate(older, newer)
	if same {
		r.path = strategyPath
	}
	r.behind = func(n int64) bool {
		pod := pods[n]
		return n >= first && r.members.has(n) && pod != nil &&
			!(same && pod.Labels[appsv1.ControllerRevisionHashLabelKey] == older.Status.UpdateRevision)
	}
	if newer.Spec.PodManagementPolicy == appsv1.ParallelPodManagement {
		return r.quorum(p), nil
	}
	return r.waits(p), nil
}

// beginsRollout tells whether Pods are to be replaced that would have been left alone.
func beginsRollout(older, newer *appsv1.StatefulSet) bool {
	was, is := older.Spec.UpdateStrategy, newer.Spec.UpdateStrategy
	if is.Type != appsv1.RollingUpdateStatefulSetStrategyType {
		return false
	}
	freed := was.Type != is.Type || value(value(is.RollingUpdate).Partition) < value(value(was.RollingUpdate).Partition)
	return freed && older.Status.UpdateRevision != older.Status.CurrentRevision ||
		!sameTemplate(older, newer)
}

// settled tells whether every Pod is there, ready and up to date by the status that came with the request. That is how most
// rollouts begin, and then no Pod need be read. The controller writes the status as soon as it sees a Pod change.
func settled(set *appsv1.StatefulSet) bool {
	s, all := set.Status, int32(rangeOf(set).count())
	return s.ObservedGeneration == set.Generation && s.Replicas == all && s.ReadyReplicas == all && s.UpdatedReplicas == all
}

// sameTemplate tells whether both have the same Pod template. Two encodings that are the same say so several times as fast as
// a comparison of every field; two that are not may still mean the same, such as 1000m and 1 of a processor.
func sameTemplate(older, newer *appsv1.StatefulSet) bool {
	was, err1 := older.Spec.Template.Marshal()
	is, err2 := newer.Spec.Template.Marshal()
	return err1 == nil && err2 == nil && bytes.Equal(was, is) || equality.Semantic.DeepEqual(older.Spec.Template, newer.Spec.Template)
}

// taken returns the healthy Pods that the rollout takes at once, and whether that is certain.
func (r *rollout) taken(down int64) (ranges, bool) {
	var behind []int64
	for n := range r.pods {
		if r.behind(n) {
			behind = append(behind, n)
		}
	}
	slices.SortFunc(behind, func(a, b int64) int { return cmp.Compare(b, a) })
	var healthy ranges
	for _, n := range behind {
		if ready(r.pods[n]) {
			healthy = append(healthy, ordinals{n, n + 1})
		}
	}
	rolling := r.set.Spec.UpdateStrategy.RollingUpdate
	if rolling != nil && rolling.MaxUnavailable != nil {
		// Only an API server whose controller heeds maxUnavailable stores it.
		most := max(0, unavailable(rolling.MaxUnavailable, rangeOf(r.set).count())-down)
		return healthy[:min(most, int64(len(healthy)))], true
	}
	if len(behind) == 0 || !ready(r.pods[behind[0]]) {
		return nil, true
	}
	return healthy[:1], rolling != nil
}

func (r *rollout) quorum(p v1alpha1.UnsafeRollout) []Finding {
	up, down := r.state()
	majority := r.members.count()/2 + 1
	taken, certain := r.taken(r.members.count() - up)
	left := up - taken.count()
	if up == r.members.count() || taken.count() == 0 || left >= majority {
		return nil
	}
	f := Finding{
		Check: "quorum", Path: r.path, Action: p.Quorum, Unknown: !certain,
		Message: fmt.Sprintf("%d of the %s of StatefulSet %s are ready, and the rollout takes %s first: %d would be left; a majority is %d.",
			up, plural(r.members.count(), "member"), r.set.Name, podNames(r.set, taken), left, majority),
		Remedy: fmt.Sprintf("wait until the others are there: %s rollout status statefulset %s", kubectl(r.set), r.set.Name),
	}
	if len(down) > 0 {
		pod := fmt.Sprintf("%s-%d", r.set.Name, down[0].start)
		f.Message += fmt.Sprintf(" Not ready: %s.", podNames(r.set, down))
		f.Remedy = fmt.Sprintf("bring %[2]s back first; see why: %[1]s describe pod %[2]s. "+
			"If the new template is what repairs it, send it with spec.updateStrategy.type: OnDelete, then: %[1]s delete pod %[2]s, and set RollingUpdate again.",
			kubectl(r.set), pod)
	}
	return []Finding{f}
}

func (r *rollout) waits(p v1alpha1.UnsafeRollout) []Finding {
	_, down := r.state()
	anyBehind := false
	for n := range r.pods {
		anyBehind = anyBehind || r.behind(n)
	}
	if len(down) == 0 || !anyBehind {
		return nil
	}
	pod := fmt.Sprintf("%s-%d", r.set.Name, down[0].start)
	f := Finding{
		Check: "waits", Path: r.path, Action: cmp.Or(p.Waits, laxer(p.Action, v1alpha1.Warn)),
		Message: fmt.Sprintf("Nothing is rolled out while Pod %s is not ready, and everything begins as soon as it is.", pod),
		Remedy:  fmt.Sprintf("see why it is not: %s describe pod %s.", kubectl(r.set), pod),
	}
	if r.behind(down[0].start) {
		f.Remedy += fmt.Sprintf(" If the new template is what repairs it, it comes up with that after: %s delete pod %s", kubectl(r.set), pod)
	}
	return []Finding{f}
}

// state returns how many members are ready, and those that are there and are not, the lowest first.
func (r *rollout) state() (up int64, down ranges) {
	for n, pod := range r.pods {
		switch {
		case !r.members.has(n):
		case ready(pod):
			up++
		case pod.DeletionTimestamp == nil:
			down = append(down, ordinals{n, n + 1})
		}
	}
	slices.SortFunc(down, func(a, b ordinals) int { return cmp.Compare(a.start, b.start) })
	return up, down
}
