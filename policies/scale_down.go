package policies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var scaleDown = Rule{
	ID:    "scale-down",
	Block: "scaleDown",
	Title: "Members leave only while the others can carry on",
	Doc: `A scale-down takes the highest ordinals away, whatever the state of those that stay, and no PodDisruptionBudget
applies to it. The old and the new replicas (and start ordinals) say which Pods go. With R ready Pods that stay, G ready
Pods that go and U Pods that stay and are not ready, the members were R+G+U, and R has to be a majority of them: a Pod that
never became ready may go at any time, a healthy one not while another is down. A request is judged the same whether it
changes the StatefulSet or its scale subresource. The policy can name a condition or an annotation by which the application
shows that a Pod's data has been handed over, and have an autoscaler's unsafe requests to scale raised to the nearest safe
number (autoscaler: Clamp) instead of refused.`,
	Severity: High,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Update}}},
	Checks: []Check{
		{"quorum", "the ready Pods that stay are no majority of the members"},
		{"to-zero", "no Pod would stay"},
		{"step", "more than maxStep Pods would go at once"},
		{"unsettled", "a rollout or an earlier scale is still under way"},
		{"data", "whenScaled is Delete: the claims of the ordinals that go would be deleted"},
		{"budget", "fewer Pods would be ready than a PodDisruptionBudget promises"},
		{"floor", "fewer than minReplicas would stay"},
		{"drained", "a Pod that goes does not show that its data has been handed over"},
	},
	blocks: typed(logic[v1alpha1.ScaleDown]{
		params: func(r *v1alpha1.Rules) *v1alpha1.ScaleDown { return r.ScaleDown },
		change: scalesDownSafely,
		// It is no field of the object's that is filled in, but what an autoscaler asks for: see clamp.
		fills: func(p v1alpha1.ScaleDown) bool { return p.Autoscaler == v1alpha1.AutoscalerClamp },
	}),
	Cases: []Case{
		{
			Name: "three to two, all ready", Ready: []int32{0, 1, 2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
		},
		{
			Name: "three to one", Ready: []int32{0, 1, 2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 1}}`,
			Want: []string{"quorum"},
		},
		{
			Name: "three to two while Pod 0 is not ready", Ready: []int32{1, 2}, NotReady: []int32{0},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
			Want: []string{"quorum"},
		},
		{
			Name: "three to two while Pod 2 is the one not ready", Ready: []int32{0, 1}, NotReady: []int32{2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
		},
		{
			Name: "five to three, all ready", Ready: []int32{0, 1, 2, 3, 4},
			Old: `{kind: StatefulSet, spec: {replicas: 5}}`, New: `kind: StatefulSet`,
		},
		{
			Name: "five to three where Pods 3 and 4 never became ready", Ready: []int32{0, 1, 2}, NotReady: []int32{3},
			Old: `{kind: StatefulSet, metadata: {generation: 2}, spec: {replicas: 5},
       status: {replicas: 4, observedGeneration: 2, currentRevision: a, updateRevision: a}}`,
			New: `kind: StatefulSet`,
		},
		{
			Name: "to zero", Ready: []int32{0, 1, 2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 0}}`,
			Want: []string{"to-zero"},
		},
		{
			Name: "two at once where the policy allows one", Policy: "action: Deny, maxStep: 1", Ready: []int32{0, 1, 2, 3, 4},
			Old: `{kind: StatefulSet, spec: {replicas: 5}}`, New: `kind: StatefulSet`,
			Want: []string{"step"},
		},
		{
			Name: "during a rollout", Ready: []int32{0, 1, 2, 3, 4},
			Old: `{kind: StatefulSet, metadata: {generation: 3}, spec: {replicas: 5},
       status: {replicas: 5, observedGeneration: 3, currentRevision: a, updateRevision: b, updatedReplicas: 2}}`,
			New:  `{kind: StatefulSet, spec: {replicas: 4}}`,
			Want: []string{"unsettled"},
		},
		{
			Name: "while an earlier scale-down goes on", Ready: []int32{0, 1, 2, 3, 4},
			Old: `{kind: StatefulSet, metadata: {generation: 3}, spec: {replicas: 4},
       status: {replicas: 5, observedGeneration: 3, currentRevision: a, updateRevision: a}}`,
			New:  `kind: StatefulSet`,
			Want: []string{"unsettled"},
		},
		{
			Name: "claims would be deleted", Ready: []int32{0, 1, 2}, Claims: []int32{0, 1, 2},
			Old:  `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}`,
			New:  `{kind: StatefulSet, spec: {replicas: 2, persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}`,
			Want: []string{"data"},
		},
		{
			Name: "a PodDisruptionBudget wants three", Ready: []int32{0, 1, 2},
			Given: []string{`{kind: PodDisruptionBudget, spec: {minAvailable: 3}}`},
			Old:   `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
			Want: []string{"budget"},
		},
		{
			Name: "a PodDisruptionBudget that allows one to be away", Ready: []int32{0, 1, 2},
			Given: []string{`{kind: PodDisruptionBudget, spec: {maxUnavailable: 1}}`},
			Old:   `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
		},
		{
			Name: "below the policy's floor", Policy: "action: Deny, minReplicas: 3", Ready: []int32{0, 1, 2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
			Want: []string{"floor"},
		},
		{
			Name: "a Pod that has not handed its data over", Ready: []int32{0, 1, 2},
			Policy: `action: Deny, drained: {condition: example.com/Drained}`,
			Old:    `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
			Want: []string{"drained"},
		},
		{
			Name: "a Pod that has handed its data over", Ready: []int32{0, 1},
			Policy: `action: Deny, drained: {condition: example.com/Drained}`,
			Given: []string{`{kind: Pod, metadata: {name: db-2, ownerReferences: null},
       status: {conditions: [{type: Ready, status: "True"}, {type: example.com/Drained, status: "True"}]}}`},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
		},
		{
			Name: "a Pod that says so in an annotation", Ready: []int32{0, 1},
			Policy: `action: Deny, drained: {annotation: {key: example.com/drained, value: "yes"}}`,
			Given: []string{`{kind: Pod, metadata: {name: db-2, annotations: {example.com/drained: "yes"}, ownerReferences: null},
       status: {conditions: [{type: Ready, status: "True"}]}}`},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 2}}`,
		},
		{
			Name: "a higher start ordinal takes the lowest Pods", Ready: []int32{0, 1, 2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {ordinals: {start: 2}}}`,
			Want: []string{"quorum"},
		},
		{
			Name: "scaling up while a Pod is not ready", Ready: []int32{0, 1}, NotReady: []int32{2},
			Old: `kind: StatefulSet`, New: `{kind: StatefulSet, spec: {replicas: 5}}`,
		},
	},
}

// departure is a scale-down: who goes and who stays.
type departure struct {
	older, newer   *appsv1.StatefulSet
	from, to       ordinals
	going, staying ranges
	// pods are the members' Pods by their ordinals; assumed tells that nobody can know, and all are taken to be ready.
	pods    map[int64]*corev1.Pod
	assumed bool
}

func scalesDownSafely(ch Change, c Cluster, p v1alpha1.ScaleDown) ([]Finding, error) {
	older, newer, ok := statefulSets(ch)
	if !ok {
		return nil, nil
	}
	d := departure{older: older, newer: newer, from: rangeOf(older), to: rangeOf(newer)}
	d.going, d.staying = d.from.minus(d.to), ranges{d.from.overlap(d.to)}
	if d.going.count() == 0 {
		return nil, nil
	}
	var err error
	if d.pods, err = podsOf(older, c); err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	d.assumed = err != nil
	found := slices.Concat(d.quorum(p), d.toZero(p), d.step(p), d.floor(p), d.drained(p), d.unsettled(p))
	data, err1 := d.data(c, p)
	budget, err2 := d.budget(c, p)
	found = slices.Concat(found, data, budget)
	for i := range found {
		found[i].Path = cmp.Or(found[i].Path, "spec.replicas")
	}
	return found, errors.Join(err1, err2)
}

// count returns how many of these ordinals have a ready Pod.
func (d *departure) count(of ranges) int64 {
	if d.assumed {
		return of.count()
	}
	var n int64
	for ordinal, pod := range d.pods {
		if of.has(ordinal) && ready(pod) {
			n++
		}
	}
	return n
}

// down returns the ordinals that stay and have no ready Pod, at most four of them.
func (d *departure) down() ranges {
	if d.assumed {
		return nil
	}
	var down ranges
	for n := range d.staying.all() {
		if pod := d.pods[n]; pod == nil || !ready(pod) {
			down = append(down, ordinals{n, n + 1})
		}
		if len(down) == 4 {
			break
		}
	}
	return down
}

func (d *departure) quorum(p v1alpha1.ScaleDown) []Finding {
	stay, leave := d.count(d.staying), d.count(d.going)
	members := d.staying.count() + leave
	majority := members/2 + 1
	// Who takes no ready member away takes nothing from the majority.
	if d.to.count() == 0 || leave == 0 || stay >= majority {
		return nil
	}
	f := Finding{
		Check: "quorum", Action: p.Quorum, Unknown: d.assumed,
		Message: fmt.Sprintf("%s takes %s and leaves %d of %s ready; a majority is %d.",
			d.move(), podNames(d.older, d.going), stay, plural(members, "member"), majority),
	}
	safe := d.from.count() - (members - majority)
	switch down := d.down(); {
	case len(down) > 0:
		f.Message += fmt.Sprintf(" Not ready: %s.", podNames(d.older, down))
		f.Remedy = fmt.Sprintf("bring %s back first; see why: %s describe pod %s-%d",
			podNames(d.older, down), kubectl(d.older), d.older.Name, down[0].start)
	case safe < d.from.count() && d.to.start == d.from.start:
		f.Remedy = fmt.Sprintf("go down in steps, the first of them: %s scale statefulset %s --replicas=%d",
			kubectl(d.older), d.older.Name, safe)
	default:
		f.Remedy = "fewer members cannot be a majority of these; " + d.sayItIsMeant()
	}
	return []Finding{f}
}

// move is the beginning of a sentence about the change.
func (d *departure) move() string {
	if d.from.start != d.to.start {
		return fmt.Sprintf("Moving StatefulSet %s from ordinals %d-%d to %d-%d", d.older.Name, d.from.start, d.from.end-1, d.to.start, d.to.end-1)
	}
	return fmt.Sprintf("Scaling StatefulSet %s from %d to %d", d.older.Name, d.from.count(), d.to.count())
}

// sayItIsMeant is the way through for who knows what the rule cannot.
func (d *departure) sayItIsMeant() string {
	return "if the application has moved its data away, say so and try again: " + sayItIsMeant("scale-down", "statefulset", d.older)
}

func (d *departure) toZero(p v1alpha1.ScaleDown) []Finding {
	if d.to.count() > 0 {
		return nil
	}
	return []Finding{{
		Check: "to-zero", Action: p.ToZero,
		Message: fmt.Sprintf("Scaling StatefulSet %s to 0 stops all of its %s: nothing would serve its data.", d.older.Name, plural(d.from.count(), "Pod")),
		Remedy:  d.sayItIsMeant(),
	}}
}

func (d *departure) step(p v1alpha1.ScaleDown) []Finding {
	if p.MaxStep == nil || d.going.count() <= int64(*p.MaxStep) {
		return nil
	}
	return []Finding{{
		Check: "step", Action: p.Step,
		Message: fmt.Sprintf("%s takes %s at once; the policy allows %d at a time.",
			d.move(), plural(d.going.count(), "Pod"), *p.MaxStep),
		Remedy: fmt.Sprintf("%s scale statefulset %s --replicas=%d, and on from there once the application has settled.",
			kubectl(d.older), d.older.Name, d.from.count()-int64(*p.MaxStep)),
	}}
}

func (d *departure) floor(p v1alpha1.ScaleDown) []Finding {
	if p.MinReplicas == nil || d.to.count() >= int64(*p.MinReplicas) {
		return nil
	}
	return []Finding{{
		Check: "floor", Action: p.Floor,
		Message: fmt.Sprintf("%s would stay of StatefulSet %s; the policy's minReplicas is %d, which its data needs to be safe.", plural(d.to.count(), "replica"), d.older.Name, *p.MinReplicas),
		Remedy:  fmt.Sprintf("go no further than: %s scale statefulset %s --replicas=%d", kubectl(d.older), d.older.Name, *p.MinReplicas),
	}}
}

func (d *departure) drained(p v1alpha1.ScaleDown) []Finding {
	if p.Drained == nil {
		return nil
	}
	mark, look := "the condition "+p.Drained.Condition, "{.status.conditions}"
	if a := p.Drained.Annotation; a != nil {
		mark, look = fmt.Sprintf("the annotation %s=%s", a.Key, a.Value), "{.metadata.annotations}"
	}
	f := Finding{Check: "drained", Action: p.Drained.Action}
	if d.assumed {
		f.Unknown = true
		f.Message = fmt.Sprintf("%s takes %s, which must show %s before they go.", d.move(), podNames(d.older, d.going), mark)
		f.Remedy = "have the application hand over their data first."
		return []Finding{f}
	}
	var laden []*corev1.Pod
	for n, pod := range d.pods {
		if d.going.has(n) && !showsDrained(pod, *p.Drained) {
			laden = append(laden, pod)
		}
	}
	if len(laden) == 0 {
		return nil
	}
	slices.SortFunc(laden, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	f.Message = fmt.Sprintf("%s takes Pods that do not show %s, by which the application says that it has handed their data over: %s.",
		d.move(), mark, names(laden))
	f.Remedy = fmt.Sprintf("have the application hand over their data first, and look whether it has: %s get pod %s -o jsonpath='%s'",
		kubectl(d.older), laden[0].Name, look)
	return []Finding{f}
}

func showsDrained(pod *corev1.Pod, p v1alpha1.Drained) bool {
	if p.Annotation != nil {
		has, ok := pod.Annotations[p.Annotation.Key]
		return ok && has == p.Annotation.Value
	}
	return hasCondition(pod, corev1.PodConditionType(p.Condition))
}

func (d *departure) unsettled(p v1alpha1.ScaleDown) []Finding {
	why := underWay(d.older)
	status := d.older.Status
	if why == "" && status.Replicas > 0 && int64(status.Replicas) < d.from.count() && d.count(d.going) > 0 {
		// Taking back a scale-up whose Pods never became ready is no reason for concern.
		why = fmt.Sprintf("%d of %s exist", status.Replicas, plural(d.from.count(), "Pod"))
	}
	if why == "" {
		return nil
	}
	return []Finding{{
		Check: "unsettled", Action: p.Unsettled,
		Message: fmt.Sprintf("StatefulSet %s is still on its way: %s. Taking Pods away now may meet members that are down for another reason.", d.older.Name, why),
		Remedy:  fmt.Sprintf("wait for it: %s rollout status statefulset %s", kubectl(d.older), d.older.Name),
	}}
}

// underWay says which rollout or scale-down of the StatefulSet has not ended, or nothing.
func underWay(set *appsv1.StatefulSet) string {
	status, replicas := set.Status, rangeOf(set).count()
	if status.ObservedGeneration < set.Generation {
		return "its controller has not seen its last change yet"
	}
	if extra := int64(status.Replicas) - replicas; extra > 0 {
		return fmt.Sprintf("an earlier scale-down to %d has %s to go", replicas, plural(extra, "Pod"))
	}
	rolling := set.Spec.UpdateStrategy.RollingUpdate
	if status.UpdateRevision == status.CurrentRevision || set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		// OnDelete rolls when somebody deletes a Pod, so it is never under way by itself.
		return ""
	}
	want := replicas
	if rolling != nil && rolling.Partition != nil {
		want = max(0, replicas-int64(*rolling.Partition))
	}
	if int64(status.UpdatedReplicas) < want {
		return fmt.Sprintf("a rollout has reached %d of %s", status.UpdatedReplicas, plural(want, "Pod"))
	}
	return ""
}

func (d *departure) data(c Cluster, p v1alpha1.ScaleDown) ([]Finding, error) {
	if *retentionParts(retentionOf(d.newer))[1].value != appsv1.DeletePersistentVolumeClaimRetentionPolicyType ||
		len(d.older.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	f := Finding{
		Check: "data", Action: p.Data, Path: retentionPath + ".whenScaled",
		Remedy: fmt.Sprintf(`keep the claims: %s patch statefulset %s -p '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Retain"}}}'`,
			kubectl(d.older), d.older.Name),
	}
	claims, err := c.Claims(d.older.Namespace)
	switch own := claimsOf(d.older, claims, d.going); {
	case errors.Is(err, ErrUnknown):
		f.Unknown = true
		f.Message = fmt.Sprintf("whenScaled is Delete: the claims of %s would be deleted with their data.", podNames(d.older, d.going))
	case err != nil:
		return nil, err
	case len(own) == 0:
		return nil, nil
	default:
		f.Message = fmt.Sprintf("whenScaled is Delete: %s (%s) would be deleted, and scaling up again starts on empty ones.", plural(len(own), "claim"), names(own))
	}
	return []Finding{f}, nil
}

func (d *departure) budget(c Cluster, p v1alpha1.ScaleDown) ([]Finding, error) {
	if d.assumed {
		return nil, nil
	}
	budgets, err := c.Budgets(d.older.Namespace)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, b := range budgetsOf(d.older, budgets) {
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			return found, err
		}
		pods, err := c.Pods(d.older.Namespace, selector)
		if err != nil {
			return found, err
		}
		stay, expected := d.count(d.staying), d.to.count()
		for _, pod := range pods {
			if n, ok := ordinalOf(pod.Name, d.older.Name); ok && d.from.has(n) {
				continue
			}
			expected++
			if ready(pod) {
				stay++
			}
		}
		if least := least(b, expected); stay < least && d.count(d.going) > 0 {
			found = append(found, Finding{
				Check: "budget", Action: p.Budget,
				Message: fmt.Sprintf("PodDisruptionBudget %s promises %s; without %s there would be %d. It is not asked about scale-downs, so that nobody else would notice.", b.Name, plural(least, "ready Pod"), podNames(d.older, d.going), stay),
				Remedy:  fmt.Sprintf("wait until more Pods are ready, or lower the budget: %s edit poddisruptionbudget %s", kubectl(b), b.Name),
			})
		}
	}
	return found, nil
}

// least is how many Pods a budget wants ready of those expected, computed as the disruption controller does.
func least(b *policyv1.PodDisruptionBudget, expected int64) int64 {
	switch {
	case b.Spec.MinAvailable != nil:
		n, _ := intstr.GetScaledValueFromIntOrPercent(b.Spec.MinAvailable, int(expected), true)
		return int64(n)
	case b.Spec.MaxUnavailable != nil:
		n, _ := intstr.GetScaledValueFromIntOrPercent(b.Spec.MaxUnavailable, int(expected), true)
		return max(0, expected-int64(n))
	}
	return 0
}

// podsOf returns the StatefulSet's Pods by their ordinals.
func podsOf(set *appsv1.StatefulSet, c Cluster) (map[int64]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return nil, err
	}
	pods, err := c.Pods(set.Namespace, selector)
	own := map[int64]*corev1.Pod{}
	for _, pod := range pods {
		if n, ok := ordinalOf(pod.Name, set.Name); ok && ownedBy(pod, set) {
			own[n] = pod
		}
	}
	return own, err
}

func ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && hasCondition(pod, corev1.PodReady)
}

func hasCondition(pod *corev1.Pod, condition corev1.PodConditionType) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == condition && c.Status == corev1.ConditionTrue
	})
}

// ownedBy tells whether the StatefulSet controls the Pod. Where either has no UID, its name has to do.
func ownedBy(pod *corev1.Pod, set *appsv1.StatefulSet) bool {
	owner := metav1.GetControllerOf(pod)
	return owner == nil || set.UID == "" || owner.UID == set.UID
}
