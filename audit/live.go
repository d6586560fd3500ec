package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// StatePolicy stands in the place of a policy's name in findings about the state of a cluster. They are no rules: nobody
// asked for something that could be refused, and a policy does not turn them on or off. They warn.
const StatePolicy = "cluster-state"

// Observation is a kind of finding that only a live cluster can have.
type Observation struct {
	// Rule and Check are what the finding is known by.
	Rule, Check string
	Severity    policies.Severity
	// Doc says in a line what is found.
	Doc string
}

// The observations. docs/audit.md documents them by their rule.
var (
	orphanedClaim = Observation{"orphaned-claim", "unused", policies.Low, "a claim is named like a StatefulSet's, and no StatefulSet and no Pod is there for it"}
	claimAtRisk   = Observation{"claim-at-risk", "reclaim", policies.High, "the StatefulSet deletes its claims, and their volumes are deleted with them"}
	memberDown    = Observation{"member-down", "not-ready", policies.High, "a member has not been ready for longer than it should take"}
	stuckRollout  = Observation{"stuck-rollout", "no-progress", policies.Medium, "a rollout has not got any further for longer than it should take"}
	blockedDrain  = Observation{"blocked-drain", "budget", policies.Medium, "a PodDisruptionBudget allows no eviction even while every Pod is healthy"}
	protectLabel  = Observation{"protect-label", "value", policies.Medium, "the label against deletes has a value that guards nothing"}

	// Observations are all of them.
	Observations = []Observation{orphanedClaim, claimAtRisk, memberDown, stuckRollout, blockedDrain, protectLabel}
)

// finding says it of an object.
func (o Observation) finding(about policies.Object, path, message, remedy string) policies.Finding {
	return policies.Finding{
		Rule: o.Rule, Check: o.Check, Severity: o.Severity, Policy: StatePolicy, Action: v1alpha1.Warn,
		Object: policies.RefTo(about), Path: path, Message: message, Remedy: remedy,
		Docs: "https://github.com/mooring-dev/mooring/blob/main/docs/audit.md#" + o.Rule,
	}
}

// patience is when something is no longer on its way but stuck.
type patience struct {
	now  time.Time
	wait time.Duration
}

func (p patience) over(since time.Time) bool { return p.now.Sub(since) > p.wait }

// observe says what the state of the namespace is that no manifest shows, of what the selector selects. judged are the
// findings of the rules, so that nothing is said twice. A namespace with the profile off is left alone.
func (p *view) observe(wait patience, selector labels.Selector, judged []policies.Finding) ([]policies.Finding, error) {
	if namespace := p.namespaces[p.name]; namespace != nil && namespace.Labels[policies.ProfileLabel] == policies.ProfileOff {
		return nil, nil
	}
	var found []policies.Finding
	for _, set := range sorted(p.sets) {
		if !selector.Matches(labels.Set(set.Labels)) || set.DeletionTimestamp != nil {
			continue
		}
		atRisk, err := p.claimsAtRisk(set)
		if err != nil {
			return found, inNamespace(p.name, err)
		}
		state, err := p.state(set, wait)
		if err != nil {
			return found, inNamespace(p.name, err)
		}
		found = append(append(found, atRisk...), state...)
		found = append(found, p.blocking(set, judged)...)
	}
	for _, claim := range sorted(p.claims) {
		if selector.Matches(labels.Set(claim.Labels)) {
			orphaned, err := p.orphaned(claim)
			if err != nil {
				return found, inNamespace(p.name, err)
			}
			found = append(found, orphaned...)
		}
	}
	for _, o := range p.objects() {
		if selector.Matches(labels.Set(o.GetLabels())) {
			found = append(found, mislabelled(o)...)
		}
	}
	return found, nil
}

// orphaned says that a claim has been left behind by a StatefulSet that is gone.
func (p *view) orphaned(claim *corev1.PersistentVolumeClaim) ([]policies.Finding, error) {
	prefix, _, ordinal := cutOrdinal(claim.Name)
	if !ordinal || !strings.Contains(prefix, "-") || claim.DeletionTimestamp != nil || p.unknown.has(statefulSets, p.name) ||
		p.ownerOf(claim) != nil || metav1.GetControllerOf(claim) != nil {
		return nil, nil
	}
	all, err := p.pods()
	if cannotTell(err) {
		return nil, nil
	}
	if err != nil || slices.ContainsFunc(all, func(pod *corev1.Pod) bool { return mounts(pod.Spec, claim.Name) }) ||
		slices.ContainsFunc(p.deployments, func(d *appsv1.Deployment) bool { return mounts(d.Spec.Template.Spec, claim.Name) }) {
		return nil, err
	}
	return []policies.Finding{orphanedClaim.finding(claim, "metadata.name",
		fmt.Sprintf("Claim %s of %s, made on %s, belongs to no StatefulSet and no Pod uses it: it looks like what a deleted StatefulSet left behind.",
			claim.Name, claim.Spec.Resources.Requests.Storage(), day(claim.CreationTimestamp.Time)),
		fmt.Sprintf("see what it is: kubectl -n %[1]s describe persistentvolumeclaim %[2]s. To keep it, let nobody delete it by mistake: kubectl -n %[1]s label persistentvolumeclaim %[2]s %[3]s=true. If nobody needs the data: kubectl -n %[1]s delete persistentvolumeclaim %[2]s",
			claim.Namespace, claim.Name, policies.ProtectLabel))}, nil
}

func mounts(spec corev1.PodSpec, claim string) bool {
	return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// claimsAtRisk says that a delete or a scale-down of the StatefulSet would take the disks along: claims and volumes both go.
func (p *view) claimsAtRisk(set *appsv1.StatefulSet) ([]policies.Finding, error) {
	const goes = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	retention := retentionOf(set)
	field, when := "whenDeleted", "deleted"
	switch {
	case retention.WhenDeleted == goes && retention.WhenScaled == goes:
		when = "deleted or scaled down"
	case retention.WhenScaled == goes:
		field, when = "whenScaled", "scaled down"
	case retention.WhenDeleted != goes:
		return nil, nil
	}
	var lost []*corev1.PersistentVolumeClaim
	for _, claim := range p.claimsOf[set.Name] {
		if claim.Spec.VolumeName == "" {
			continue
		}
		reclaim, err := p.reclaim(p.ctx, claim.Spec.VolumeName)
		if cannotTell(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if reclaim == corev1.PersistentVolumeReclaimDelete {
			lost = append(lost, claim)
		}
	}
	if len(lost) == 0 {
		return nil, nil
	}
	return []policies.Finding{claimAtRisk.finding(set, "spec.persistentVolumeClaimRetentionPolicy."+field,
		fmt.Sprintf("When StatefulSet %s is %s, its claims go, and the volumes of %d of them (%s) have reclaim policy Delete: the data is gone for good.",
			set.Name, when, len(lost), quantity.NewQuantity(sizeOf(lost), quantity.BinarySI)),
		fmt.Sprintf(`keep the claims: kubectl -n %s patch statefulset %s -p '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}'. Or keep each disk: kubectl patch persistentvolume %s -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`,
			set.Namespace, set.Name, slices.MinFunc(lost, byName).Spec.VolumeName))}, nil
}

// state says that a rollout is stuck, or else that a member is down. What is on its way is neither.
func (p *view) state(set *appsv1.StatefulSet, wait patience) ([]policies.Finding, error) {
	want := replicasOf(set)
	behind := rolloutBehind(set)
	if set.Status.ReadyReplicas >= want && behind == 0 {
		return nil, nil
	}
	all, err := p.pods()
	if cannotTell(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pods := map[string]*corev1.Pod{}
	for _, pod := range all {
		pods[pod.Name] = pod
	}
	moved, down := set.CreationTimestamp.Time, []string(nil)
	start := ptr.Deref(set.Spec.Ordinals, appsv1.StatefulSetOrdinals{}).Start
	// Replicas may be any number that somebody typed.
	for n := range int64(min(want, mostMembers)) {
		name := fmt.Sprintf("%s-%d", set.Name, int64(start)+n)
		pod := pods[name]
		if pod == nil {
			if wait.over(set.CreationTimestamp.Time) {
				down = append(down, name+" (there is none)")
			}
			continue
		}
		ready, since := readiness(pod)
		moved = latest(moved, since)
		if !ready && wait.over(since) {
			down = append(down, fmt.Sprintf("%s (%s since %s)", name, cmp.Or(why(pod), "not ready"), since.UTC().Format(time.RFC3339)))
		}
	}
	look := fmt.Sprintf("see why: kubectl -n %s describe pod %s-N; kubectl -n %[1]s get events --field-selector involvedObject.name=%[2]s", set.Namespace, set.Name)
	if len(down) > 0 {
		first, _, _ := strings.Cut(down[0], " ")
		look = fmt.Sprintf("see why: kubectl -n %s describe pod %s", set.Namespace, first)
		if strings.HasSuffix(down[0], "(there is none)") {
			look = fmt.Sprintf("see why: kubectl -n %s describe statefulset %s", set.Namespace, set.Name)
		}
	}
	switch {
	case behind > 0 && wait.over(moved):
		message := fmt.Sprintf("The rollout of StatefulSet %s has come to a stop: %d of %d Pods have the new revision, and nothing has moved since %s.",
			set.Name, set.Status.UpdatedReplicas, want, moved.UTC().Format(time.RFC3339))
		if len(down) > 0 {
			message += " Not ready: " + some(down) + "."
		}
		return []policies.Finding{stuckRollout.finding(set, "status.updatedReplicas", message,
			look+fmt.Sprintf(". To go back: kubectl -n %s rollout undo statefulset %s, and delete the Pod that is not ready, which the controller does not do by itself", set.Namespace, set.Name))}, nil
	case len(down) > 0:
		return []policies.Finding{memberDown.finding(set, "status.readyReplicas",
			fmt.Sprintf("%d of %d members of StatefulSet %s are ready; a majority is %d. Not ready: %s.", set.Status.ReadyReplicas, want, set.Name, want/2+1, some(down)), look)}, nil
	}
	return nil, nil
}

// mostMembers is how many members of a StatefulSet are looked at.
const mostMembers = 1000

// rolloutBehind returns how many Pods a rolling update has still to replace.
func rolloutBehind(set *appsv1.StatefulSet) int32 {
	strategy := set.Spec.UpdateStrategy
	if set.Status.CurrentRevision == set.Status.UpdateRevision || strategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return 0
	}
	held := ptr.Deref(ptr.Deref(strategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{}).Partition, 0)
	return max(0, replicasOf(set)-held-set.Status.UpdatedReplicas)
}

// readiness tells whether the Pod is ready, and since when it is so.
func readiness(pod *corev1.Pod) (bool, time.Time) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil, latest(c.LastTransitionTime.Time, pod.CreationTimestamp.Time)
		}
	}
	return false, pod.CreationTimestamp.Time
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// why is what a container of the Pod waits for, in the API's own word: CrashLoopBackOff, ImagePullBackOff and their like.
func why(pod *corev1.Pod) string {
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if c.State.Waiting != nil && c.State.Waiting.Reason != "" {
			return c.State.Waiting.Reason
		}
	}
	if pod.Status.Phase == corev1.PodPending && pod.Spec.NodeName == "" {
		return "unschedulable"
	}
	return ""
}

// some names the first few.
func some(all []string) string {
	const most = 3
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}

// blocking says which budgets of the StatefulSet's Pods allow no eviction although nothing is wrong. One that the rule
// about budgets has found is not named again.
func (p *view) blocking(set *appsv1.StatefulSet, judged []policies.Finding) []policies.Finding {
	if slices.ContainsFunc(judged, func(f policies.Finding) bool {
		return f.Object == policies.RefTo(set) && f.ID() == "disruption-budget/stuck"
	}) {
		return nil
	}
	var found []policies.Finding
	for _, b := range p.budgets {
		if b.Status.ExpectedPods == 0 || b.Status.DesiredHealthy < b.Status.ExpectedPods || !selectsPodsOf(b, set) {
			continue
		}
		found = append(found, blockedDrain.finding(b, "status.disruptionsAllowed",
			fmt.Sprintf("PodDisruptionBudget %s wants %d of the %d Pods of StatefulSet %s, so that none can be evicted and no node that runs one can be drained.",
				b.Name, b.Status.DesiredHealthy, b.Status.ExpectedPods, set.Name),
			fmt.Sprintf(`let one be away: kubectl -n %s patch poddisruptionbudget %s --type=merge -p '{"spec":{"minAvailable":null,"maxUnavailable":1}}'`, b.Namespace, b.Name)))
	}
	return found
}

func selectsPodsOf(b *policyv1.PodDisruptionBudget, set *appsv1.StatefulSet) bool {
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	return err == nil && selector.Matches(labels.Set(set.Spec.Template.Labels))
}

// mislabelled says that somebody meant to guard the object and did not.
func mislabelled(o policies.Object) []policies.Finding {
	value, ok := o.GetLabels()[policies.ProtectLabel]
	if !ok || value == "true" || value == "false" {
		return nil
	}
	ref := policies.RefTo(o)
	command := "kubectl"
	if ref.Namespace != "" {
		command += " -n " + ref.Namespace
	}
	return []policies.Finding{protectLabel.finding(o, "metadata.labels",
		fmt.Sprintf("%s is labelled %s=%s, which guards nothing: only the value true does.", ref, policies.ProtectLabel, value),
		fmt.Sprintf("%s label --overwrite %s %s %s=true", command, strings.ToLower(ref.Kind), ref.Name, policies.ProtectLabel))}
}
