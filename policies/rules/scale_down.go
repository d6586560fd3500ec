package rules

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var scaleDown = policies.Rule{
	ID:    "scale-down",
	Title: "A scale-down leaves a ready majority",
	Doc: `A scale-down removes the highest ordinals, whatever the state of the other Pods, and no PodDisruptionBudget
applies to it. The old and new replicas (and start ordinals) determine which Pods are removed. With R ready Pods that stay, G
ready Pods that are removed and U not-ready Pods that stay, there are R+G+U members, and R must be a majority of them. So you
can always remove a Pod that never became ready, but no healthy Pod while another member is down. Updates of the StatefulSet
and of its scale subresource are judged in the same way. If you create a StatefulSet while Pods of its names exist
(--cascade=orphan), it adopts them and removes those beyond its replicas, so its create is judged as a scale-down, too. A
policy can name a condition or annotation that shows that a Pod's data has been handed over. It can also raise unsafe scale
requests of autoscalers to the nearest safe number instead of refusing them (autoscaler: Clamp).`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks: []policies.Check{
		{Name: "quorum", Doc: "the remaining ready Pods would be no majority"},
		{Name: "to-zero", Doc: "no Pod would remain"},
		{Name: "step", Doc: "more than maxStep Pods would be removed at once"},
		{Name: "unsettled", Doc: "a rollout or an earlier scale is still under way"},
		{Name: "data", Doc: "the claims of the removed Pods would be deleted (whenScaled: Delete)"},
		{Name: "budget", Doc: "fewer Pods would be ready than a PodDisruptionBudget requires"},
		{Name: "floor", Doc: "fewer than minReplicas Pods would remain"},
		{Name: "drained", Doc: "a removed Pod does not show that its data has been handed over"},
	},
	Logic: policies.Typed[v1alpha1.ScaleDown]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ScaleDown { return &r.ScaleDown },
		Baseline:   &v1alpha1.ScaleDown{Enforcement: deny, Autoscaler: v1alpha1.AutoscalerClamp, WithoutData: v1alpha1.Warn},
		Restricted: &v1alpha1.ScaleDown{Enforcement: deny, Autoscaler: v1alpha1.AutoscalerClamp, MaxStep: ptr.To[int32](1)},
		Change:     scalesDownSafely,
		Clamps:     clampsAutoscaler,
		Validate:   validateScaleDown,
	},
}

// autoscalers are the users that count as autoscalers by default: the HorizontalPodAutoscaler's controller, with or without its own
// service account, and KEDA.
var autoscalers = []string{
	"system:serviceaccount:kube-system:horizontal-pod-autoscaler",
	"system:kube-controller-manager",
	"system:serviceaccount:keda:keda-operator",
}

func autoscalersOf(p v1alpha1.ScaleDown) []string {
	if len(p.Autoscalers) > 0 {
		return p.Autoscalers
	}
	return autoscalers
}

func clampsAutoscaler(ch policies.Change, p v1alpha1.ScaleDown) bool {
	return p.Autoscaler == v1alpha1.AutoscalerClamp && slices.Contains(autoscalersOf(p), ch.User.Username)
}

// validateScaleDown rejects a check without the parameter that it needs.
func validateScaleDown(p v1alpha1.ScaleDown, _ v1alpha1.Rules, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	asked := func(action v1alpha1.Action) bool { return action.Stricter(v1alpha1.Off) }
	if asked(p.Step) && p.MaxStep == nil {
		errs = append(errs, field.Required(at.Child("maxStep"), "step has no effect without it"))
	}
	if asked(p.Floor) && p.MinReplicas == nil {
		errs = append(errs, field.Required(at.Child("minReplicas"), "floor has no effect without it"))
	}
	if len(p.Autoscalers) > 0 && p.Autoscaler != v1alpha1.AutoscalerClamp {
		errs = append(errs, field.Required(at.Child("autoscaler"), "must be Clamp: autoscalers has no effect otherwise"))
	}
	if d := p.Drained; d != nil && (d.Condition != "") == (d.Annotation != nil) {
		errs = append(errs, field.Required(at.Child("drained"), "set condition or annotation, not both"))
	}
	return errs
}

// departure is a scale-down: the members that go and those that stay.
type departure struct {
	older, newer   *appsv1.StatefulSet
	from, to       statefulset.Ordinals
	going, staying statefulset.Ranges
	// pods are the members' Pods by ordinal. If they are unknown, assumed is true and all count as ready.
	pods    map[int64]*corev1.Pod
	assumed bool
	// adopts means that the StatefulSet is new, and finds the Pods of an earlier one with its name.
	adopts bool
	// through is the custom resource's field that the StatefulSet follows, nil if it is scaled directly.
	through *dial
}

func scalesDownSafely(ch policies.Change, c policies.Cluster, p v1alpha1.ScaleDown) ([]policies.Finding, error) {
	d, err := departureOf(ch, c)
	if err != nil {
		return nil, err
	}
	found, err := d.judge(c, p)
	if kinds.IsAdvanced(d.newer) && clampsAutoscaler(ch, p) {
		for i := range found {
			found[i].Action = cmp.Or(found[i].Action, p.Action)
			spareAutoscaler(&found[i])
		}
	}
	return found, err
}

// spareAutoscaler has an autoscaler warned where nothing raises the number that it asks for: refused, it would ask for it for ever.
func spareAutoscaler(f *policies.Finding) {
	if f.Action == v1alpha1.Deny {
		f.Action, f.Note = v1alpha1.Warn, "an autoscaler is not refused"
	}
}

func (d *departure) judge(c policies.Cluster, p v1alpha1.ScaleDown) ([]policies.Finding, error) {
	if d.going.Count() == 0 {
		return nil, nil
	}
	found := slices.Concat(d.quorum(p), d.toZero(p), d.step(p), d.floor(p), d.drained(p))
	unsettled, err1 := d.unsettled(c, p)
	data, err2 := d.data(c, p)
	budget, err3 := d.budget(c, p)
	found = slices.Concat(found, unsettled, data, budget)
	for i := range found {
		found[i].Path = cmp.Or(found[i].Path, "spec.replicas")
	}
	return found, errors.Join(err1, err2, err3)
}

func departureOf(ch policies.Change, c policies.Cluster) (d departure, err error) {
	d.newer = ch.New.(*appsv1.StatefulSet)
	d.to = statefulset.OrdinalsOf(d.newer)
	if d.adopts = ch.Old == nil; d.adopts {
		d.older = d.newer
		if d.pods, err = adopted(d.newer, c); len(d.pods) == 0 || err != nil {
			return d, err
		}
		ordinals := slices.Sorted(maps.Keys(d.pods))
		d.from = statefulset.Ordinals{Start: ordinals[0], End: ordinals[len(ordinals)-1] + 1}
		for _, n := range ordinals {
			if !d.to.Has(n) {
				d.going = append(d.going, statefulset.One(n))
			}
		}
	} else {
		d.older = ch.Old.(*appsv1.StatefulSet)
		d.from = statefulset.OrdinalsOf(d.older)
		if d.going = d.from.Minus(d.to); d.going.Count() == 0 {
			return d, nil
		}
		var known bool
		d.pods, known, err = policies.MembersOf(d.older, c)
		d.assumed = !known
	}
	d.staying = statefulset.Ranges{d.from.Overlap(d.to)}
	return d, err
}

// adopted returns the existing Pods that a new StatefulSet adopts by name.
func adopted(set *appsv1.StatefulSet, c policies.Cluster) (map[int64]*corev1.Pod, error) {
	pods, _, err := policies.MembersOf(set, c)
	maps.DeleteFunc(pods, func(_ int64, pod *corev1.Pod) bool {
		return metav1.GetControllerOf(pod) != nil || pod.DeletionTimestamp != nil
	})
	return pods, err
}

// count returns how many of these ordinals have a ready Pod.
func (d *departure) count(of statefulset.Ranges) int64 {
	if d.assumed {
		return of.Count()
	}
	var n int64
	for ordinal, pod := range d.pods {
		if of.Has(ordinal) && statefulset.Ready(pod) {
			n++
		}
	}
	return n
}

// down returns at most four ordinals that stay and have no ready Pod.
func (d *departure) down() statefulset.Ranges {
	if d.assumed {
		return nil
	}
	var down statefulset.Ranges
	for n := range d.staying.All() {
		if pod := d.pods[n]; pod == nil || !statefulset.Ready(pod) {
			down = append(down, statefulset.One(n))
		}
		if len(down) == 4 {
			break
		}
	}
	return down
}

func (d *departure) quorum(p v1alpha1.ScaleDown) []policies.Finding {
	stay, leave := d.count(d.staying), d.count(d.going)
	members := d.staying.Count() + leave
	majority := statefulset.Majority(members)
	// If no ready member goes, the majority does not change.
	if d.to.Count() == 0 || leave == 0 || stay >= majority {
		return nil
	}
	f := policies.Finding{
		Check: "quorum", Action: d.action(p.Quorum, p), Unknown: d.assumed,
		Message: fmt.Sprintf("%s removes %s and leaves %d of %s ready; a majority is %d.",
			d.move(), statefulset.PodNames(d.older, d.going), stay, words.Plural(members, "member"), majority),
	}
	safe := d.from.Count() - (members - majority)
	switch down := d.down(); {
	case d.adopts:
		f.Remedy = d.createAsLarge()
	case len(down) > 0:
		f.Message += fmt.Sprintf(" Not ready: %s.", statefulset.PodNames(d.older, down))
		f.Remedy = fmt.Sprintf("get %s ready first: %s describe pod %s-%d",
			statefulset.PodNames(d.older, down), policies.Kubectl(d.older), d.older.Name, down[0].Start)
	case safe < d.from.Count() && d.to.Start == d.from.Start:
		f.Remedy = "scale down in steps: " + d.scaleTo(safe)
	default:
		f.Remedy = "no smaller step keeps a majority; " + d.sayItIsMeant()
	}
	return []policies.Finding{f}
}

// action returns the action of a check, which is weaker for a StatefulSet without data.
func (d *departure) action(of v1alpha1.Action, p v1alpha1.ScaleDown) v1alpha1.Action {
	if statefulset.KeepsData(d.older) {
		return of
	}
	return cmp.Or(p.WithoutData, of)
}

// move returns the beginning of a sentence about the change.
func (d *departure) move() string {
	if d.adopts {
		return fmt.Sprintf("Creating StatefulSet %s with %s, where it adopts %s,",
			d.newer.Name, words.Plural(d.to.Count(), "replica"), words.Plural(len(d.pods), "Pod"))
	}
	if d.from.Start != d.to.Start {
		return fmt.Sprintf("Moving StatefulSet %s from ordinals %d-%d to %d-%d", d.older.Name, d.from.Start, d.from.End-1, d.to.Start, d.to.End-1)
	}
	return fmt.Sprintf("Scaling StatefulSet %s from %d to %d", d.older.Name, d.from.Count(), d.to.Count())
}

// sayItIsMeant returns the way to confirm the change.
func (d *departure) sayItIsMeant() string {
	if d.through != nil {
		return "if the application has moved its data, confirm it and try again: " + d.through.meant()
	}
	return "if the application has moved its data, annotate the StatefulSet and try again: " + policies.BypassCommand("scale-down", d.older)
}

// scaleTo returns the command that scales to this many replicas.
func (d *departure) scaleTo(replicas int64) string {
	if d.through != nil {
		return d.through.turnTo(d.through.To + replicas - d.to.Count())
	}
	return fmt.Sprintf("%s --replicas=%d", policies.Command("scale", d.older), replicas)
}

// createAsLarge returns the remedy for a StatefulSet that replaces another.
func (d *departure) createAsLarge() string {
	if d.to.Start > d.from.Start {
		return fmt.Sprintf("create it with ordinals.start: %d and replicas: %d, then scale it down.", d.from.Start, d.from.Count())
	}
	return fmt.Sprintf("create it with replicas: %d, then scale it down.", d.from.End-d.to.Start)
}

func (d *departure) toZero(p v1alpha1.ScaleDown) []policies.Finding {
	if d.to.Count() > 0 {
		return nil
	}
	serve := "its data"
	if !statefulset.KeepsData(d.older) {
		serve = "its clients"
	}
	stopped := "its only Pod"
	if n := d.from.Count(); n > 1 {
		stopped = fmt.Sprintf("all %d of its Pods", n)
	}
	f := policies.Finding{
		Check: "to-zero", Action: d.action(p.ToZero, p),
		Message: fmt.Sprintf("Scaling StatefulSet %s to 0 stops %s: nothing serves %s.", d.older.Name, stopped, serve),
		Remedy:  d.sayItIsMeant(),
	}
	if d.adopts {
		f.Message = fmt.Sprintf("%s stops them all: nothing serves %s.", d.move(), serve)
		f.Remedy = d.createAsLarge()
	}
	return []policies.Finding{f}
}

func (d *departure) step(p v1alpha1.ScaleDown) []policies.Finding {
	if p.MaxStep == nil || d.going.Count() <= int64(*p.MaxStep) {
		return nil
	}
	f := policies.Finding{
		Check: "step", Action: p.Step,
		Message: fmt.Sprintf("%s removes %s at once; the policy allows %d at a time.",
			d.move(), words.Plural(d.going.Count(), "Pod"), *p.MaxStep),
		Remedy: d.scaleTo(d.from.Count()-int64(*p.MaxStep)) + ", then the next step when all Pods are ready.",
	}
	if d.adopts {
		f.Remedy = d.createAsLarge()
	}
	return []policies.Finding{f}
}

func (d *departure) floor(p v1alpha1.ScaleDown) []policies.Finding {
	if p.MinReplicas == nil || d.to.Count() >= int64(*p.MinReplicas) {
		return nil
	}
	f := policies.Finding{
		Check: "floor", Action: p.Floor,
		Message: fmt.Sprintf("%s of StatefulSet %s would remain; the policy's minReplicas is %d.", words.Plural(d.to.Count(), "replica"), d.older.Name, *p.MinReplicas),
		Remedy:  "scale to the minimum: " + d.scaleTo(int64(*p.MinReplicas)),
	}
	if d.adopts {
		f.Remedy = d.createAsLarge()
	}
	return []policies.Finding{f}
}

func (d *departure) drained(p v1alpha1.ScaleDown) []policies.Finding {
	if p.Drained == nil {
		return nil
	}
	mark, look := "the condition "+p.Drained.Condition, "{.status.conditions}"
	if a := p.Drained.Annotation; a != nil {
		mark, look = fmt.Sprintf("the annotation %s=%s", a.Key, a.Value), "{.metadata.annotations}"
	}
	f := policies.Finding{Check: "drained", Action: p.Drained.Action}
	if d.assumed {
		f.Unknown = true
		f.Message = fmt.Sprintf("%s removes %s, which must have %s before they go.", d.move(), statefulset.PodNames(d.older, d.going), mark)
		f.Remedy = "have the application hand over their data first."
		return []policies.Finding{f}
	}
	var laden []*corev1.Pod
	for n, pod := range d.pods {
		if d.going.Has(n) && !showsDrained(pod, *p.Drained) {
			laden = append(laden, pod)
		}
	}
	if len(laden) == 0 {
		return nil
	}
	slices.SortFunc(laden, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	f.Message = fmt.Sprintf("%s removes Pods that have not handed over their data (they lack %s): %s.",
		d.move(), mark, words.Names(laden))
	f.Remedy = fmt.Sprintf("have the application hand over their data, then check: %s get pod %s -o jsonpath='%s'",
		policies.Kubectl(d.older), laden[0].Name, look)
	return []policies.Finding{f}
}

func showsDrained(pod *corev1.Pod, p v1alpha1.Drained) bool {
	if p.Annotation != nil {
		has, ok := pod.Annotations[p.Annotation.Key]
		return ok && has == p.Annotation.Value
	}
	return statefulset.HasCondition(pod, corev1.PodConditionType(p.Condition))
}

func (d *departure) unsettled(c policies.Cluster, p v1alpha1.ScaleDown) ([]policies.Finding, error) {
	if d.adopts {
		return nil, nil
	}
	why, wait := underWay(d.older)
	if missing := d.missing(); why == "" && missing > 0 {
		why = words.Plural(missing, "Pod") + " that should stay do not exist"
		if missing == 1 {
			why = "1 Pod that should stay does not exist"
		}
		wait = "see its Events: " + policies.Command("describe", d.older)
	}
	if why == "" {
		return nil, nil
	}
	if never, err := d.neverBegan(c); never || err != nil {
		return nil, err
	}
	return []policies.Finding{{
		Check: "unsettled", Action: d.action(p.Unsettled, p),
		Message: fmt.Sprintf("StatefulSet %s has not settled: %s. Removing Pods now can leave too few members.", d.older.Name, why),
		Remedy:  wait,
	}}, nil
}

// missing returns how many of the Pods that stay do not exist. If no Pod goes, this takes back a scale-up.
func (d *departure) missing() int64 {
	if d.assumed || d.count(d.going) == 0 || int64(d.older.Status.Replicas) >= d.from.Count() {
		return 0
	}
	missing := d.staying.Count()
	for n := range d.pods {
		if d.staying.Has(n) {
			missing--
		}
	}
	return missing
}

// neverBegan reports whether no Pod that goes was ever ready, nor an earlier one that left data. Removing such Pods takes back a
// scale-up.
func (d *departure) neverBegan(c policies.Cluster) (bool, error) {
	if d.assumed {
		return false, nil
	}
	for n, pod := range d.pods {
		if d.going.Has(n) && !statefulset.NeverReady(pod) {
			return false, nil
		}
	}
	claims, known, err := policies.ClaimsOf(d.older, d.going, c)
	return known && !slices.ContainsFunc(claims, func(claim *corev1.PersistentVolumeClaim) bool {
		n, _ := statefulset.ClaimOrdinal(d.older, claim)
		return !statefulset.Empty(claim, d.pods[n])
	}), err
}

// underWay names the rollout or scale-down in progress, if any, and the command that waits for its end.
func underWay(set *appsv1.StatefulSet) (why, wait string) {
	status, replicas := set.Status, statefulset.OrdinalsOf(set).Count()
	if status.ObservedGeneration < set.Generation {
		return "its controller has not observed the last change", "try again; if it persists, see its Events: " + policies.Command("describe", set)
	}
	if extra := int64(status.Replicas) - replicas; extra > 0 {
		return fmt.Sprintf("an earlier scale-down to %d has %s to go", replicas, words.Plural(extra, "Pod")),
			fmt.Sprintf("wait for it: %s --for=jsonpath='{.status.replicas}'=%d --timeout=5m", policies.Command("wait", set), replicas)
	}
	if statefulset.Behind(set) > 0 {
		return fmt.Sprintf("a rollout has reached %d of %s", status.UpdatedReplicas, words.Plural(statefulset.Rolls(set), "Pod")),
			fmt.Sprintf("wait for it: %s --timeout=5m. If it is stuck, roll it back: %s", awaitRollout(set), rollBack(set))
	}
	return "", ""
}

func (d *departure) data(c policies.Cluster, p v1alpha1.ScaleDown) ([]policies.Finding, error) {
	if !statefulset.DeletesWithScale(d.newer) {
		return nil, nil
	}
	f := policies.Finding{
		Check: "data", Action: p.Data, Path: retentionPath + ".whenScaled",
		Remedy: "keep the claims: " + policies.Patch(d.older, `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Retain"}}}`),
	}
	if d.adopts {
		f.Remedy = "create it with whenScaled: Retain to keep the claims."
	} else if d.through != nil {
		// The operator would overwrite a change to the StatefulSet.
		f.Remedy = d.sayItIsMeant()
	}
	switch own, known, err := policies.ClaimsOf(d.older, d.going, c); {
	case err != nil:
		return nil, err
	case !known && len(own) == 0:
		f.Unknown = true
		f.Message = fmt.Sprintf("whenScaled is Delete: the claims of %s and their data would be deleted.", statefulset.PodNames(d.older, d.going))
	case len(own) == 0:
		return nil, nil
	default:
		f.Message = fmt.Sprintf("whenScaled is Delete: %s (%s) would be deleted, and a later scale-up starts empty.", words.Plural(len(own), "claim"), words.Names(own))
	}
	return []policies.Finding{f}, nil
}

func (d *departure) budget(c policies.Cluster, p v1alpha1.ScaleDown) ([]policies.Finding, error) {
	if d.assumed {
		return nil, nil
	}
	budgets, _, err := policies.BudgetsOf(d.older.Namespace, d.older.Spec.Template.Labels, c)
	if err != nil {
		return nil, err
	}
	var found []policies.Finding
	for _, b := range budgets {
		pods, _, err := policies.PodsUnder(b, d.pods, c)
		if err != nil {
			return found, err
		}
		stay, expected := d.count(d.staying), d.to.Count()
		for _, pod := range pods {
			if n, ok := statefulset.OrdinalIn(pod.Name, d.older.Name); ok && d.from.Has(n) {
				continue
			}
			expected++
			if statefulset.Ready(pod) {
				stay++
			}
		}
		if least := statefulset.Promised(b, expected); stay < least && d.count(d.going) > 0 {
			found = append(found, policies.Finding{
				Check: "budget", Action: d.action(p.Budget, p),
				Message: fmt.Sprintf("PodDisruptionBudget %s requires %s; without %s there would be %d. Kubernetes does not check budgets when it scales down.", b.Name, words.Plural(least, "ready Pod"), statefulset.PodNames(d.older, d.going), stay),
				Remedy:  fmt.Sprintf("wait until more Pods are ready, or lower the budget: %s edit poddisruptionbudget %s", policies.Kubectl(b), b.Name),
			})
		}
	}
	return found, nil
}
