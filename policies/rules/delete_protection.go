package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var deleteProtection = policies.Rule{
	ID:    "delete-protection",
	Title: "A delete does not destroy data",
	Doc: `Some deletes destroy data at once. Deleting a StatefulSet deletes the claims that it owns: with whenDeleted:
Delete all of them, and with Retain those that a scale-down left while it was Delete. With --cascade=orphan they stay, so this
delete passes. The claim of a running Pod stays Terminating after its delete, and its data is lost when the Pod restarts, or
at once if somebody removes the finalizer. A bound volume stays Terminating in the same way, and nobody can undo either.
Deleting a namespace deletes everything in it, including the claims of StatefulSets that were deleted before. Deleting a
StatefulSet stops its ready Pods; if Helm uninstalls the whole release, this is at most a warning. Nobody can delete an object
with the label mooring.dev/protect: "true" (a StatefulSet, claim, Service or Namespace). Deletes by the garbage collector and
other controllers that complete an earlier delete pass, and so do all deletes in a namespace that is being deleted.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.StatefulSet, remove),
		policies.On(kinds.PersistentVolumeClaim, update, remove),
		policies.On(kinds.PersistentVolume, remove),
		policies.On(kinds.Namespace, remove),
		policies.On(kinds.Service, remove),
	},
	Checks: []policies.Check{
		{Name: "data", Doc: "claims would be deleted with their StatefulSet"},
		{Name: "running", Doc: "ready Pods would stop with their StatefulSet"},
		{Name: "in-use", Doc: "a Pod of a StatefulSet uses the claim, or will use it again"},
		{Name: "finalizer", Doc: "the finalizer is removed from a Terminating claim that a Pod still uses"},
		{Name: "volume", Doc: "the volume is bound to the claim of a StatefulSet's Pod"},
		{Name: "namespace", Doc: "the namespace has claims of StatefulSets, existing or deleted"},
		{Name: "removed", Doc: "the StatefulSet is no longer in the files"},
		{Name: "renamed", Doc: "the StatefulSet has a new name in the files, and would start on new claims"},
		{Name: "protected", Doc: "the object, or an object in the namespace, has the label mooring.dev/protect: \"true\""},
	},
	Logic: policies.Typed[v1alpha1.DeleteProtection]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.DeleteProtection { return &r.DeleteProtection },
		Baseline:   &v1alpha1.DeleteProtection{Enforcement: deny, Running: v1alpha1.Warn},
		Restricted: &v1alpha1.DeleteProtection{Enforcement: deny},
		Change:     deletesNoData,
	},
}

func deletesNoData(ch policies.Change, c policies.Cluster, p v1alpha1.DeleteProtection) ([]policies.Finding, error) {
	if ch.Operation == admissionv1.Update {
		return waitsForItsPod(ch, c, p)
	}
	if ch.Old.GetDeletionTimestamp() != nil {
		// It is already Terminating; a second delete removes nothing more.
		return nil, nil
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	found := labeled(ch.Old, p)
	var more []policies.Finding
	var err error
	switch o := ch.Old.(type) {
	case *appsv1.StatefulSet:
		if !ch.Orphans() {
			if more, err = takesClaims(o, c, p); err != nil {
				break
			}
			if len(more) == 0 {
				more, err = stopsMembers(o, c, p)
			}
			if len(more) == 0 && ch.InFiles {
				more = leavesFiles(ch, o)
			}
		}
	case *corev1.PersistentVolumeClaim:
		more, err = belongsToMember(o, c, p)
	case *corev1.PersistentVolume:
		more, err = holdsMember(o, c, p)
	case *corev1.Namespace:
		more, err = holdsData(o, c, p)
	}
	return append(found, more...), err
}

func protected(o kinds.Object) bool { return o.GetLabels()[policies.ProtectLabel] == "true" }

func labeled(o kinds.Object, p v1alpha1.DeleteProtection) []policies.Finding {
	if !protected(o) {
		return nil
	}
	ref := policies.RefTo(o)
	return []policies.Finding{{
		Check: "protected", Action: p.Protected, Path: "metadata.labels",
		Message: fmt.Sprintf("%s has the label %s=true, which prevents its deletion.", ref, policies.ProtectLabel),
		Remedy:  fmt.Sprintf("to delete it, remove the label first: %s %s-", policies.Command("label", o), policies.ProtectLabel),
	}}
}

// takesClaims returns a finding if the garbage collector would delete claims after the StatefulSet.
func takesClaims(set *appsv1.StatefulSet, c policies.Cluster, p v1alpha1.DeleteProtection) ([]policies.Finding, error) {
	told := statefulset.DeletesWithSet(set)
	f := policies.Finding{Check: "data", Action: p.Data, Path: retentionPath + ".whenDeleted"}
	claims, known, err := policies.ClaimsTakenBy(set, c)
	if err != nil {
		return nil, err
	}
	if !known && told {
		f.Unknown = true
		f.Message = fmt.Sprintf("Deleting StatefulSet %s deletes its claims and their data: whenDeleted is Delete.", set.Name)
		f.Remedy = keepClaims(set)
		return []policies.Finding{f}, nil
	}
	pods, _, err := policies.MembersOf(set, c)
	if err != nil {
		return nil, err
	}
	lost := slices.DeleteFunc(claims, func(claim *corev1.PersistentVolumeClaim) bool {
		n, ok := statefulset.ClaimOrdinal(set, claim)
		return ok && statefulset.Empty(claim, pods[n])
	})
	switch {
	case len(lost) == 0:
		return nil, nil
	case told:
		f.Message = fmt.Sprintf("Deleting StatefulSet %s also deletes %s (%s) and the data: whenDeleted is Delete.",
			set.Name, words.Plural(len(lost), "claim"), words.Names(lost))
		f.Remedy = keepClaims(set)
	default:
		f.Message = fmt.Sprintf("Deleting StatefulSet %[3]s also deletes %[1]s (%[2]s) and the data: whenDeleted is Retain, but their ownerReferences still name the StatefulSet.",
			words.Plural(len(lost), "claim"), words.Names(lost), set.Name)
		f.Remedy = fmt.Sprintf(`keep each of them: %s patch persistentvolumeclaim %s --type=merge -p '{"metadata":{"ownerReferences":null}}', then delete the StatefulSet.`,
			policies.Kubectl(set), lost[0].Name)
	}
	return []policies.Finding{f}, nil
}

// stopsMembers returns a finding if ready Pods would stop.
func stopsMembers(set *appsv1.StatefulSet, c policies.Cluster, p v1alpha1.DeleteProtection) ([]policies.Finding, error) {
	pods, known, err := policies.MembersOf(set, c)
	if !known || err != nil {
		return nil, err
	}
	var ready []*corev1.Pod
	for _, pod := range pods {
		if statefulset.Ready(pod) {
			ready = append(ready, pod)
		}
	}
	if len(ready) == 0 {
		return nil, nil
	}
	slices.SortFunc(ready, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	action := p.Running
	if goes, err := releaseGoes(set, c); err != nil {
		return nil, err
	} else if goes {
		action = cmp.Or(p.Running, p.Action).AtMost(v1alpha1.Warn)
	}
	return []policies.Finding{{
		Check: "running", Action: action, Path: "metadata.name",
		Message: fmt.Sprintf("%s of StatefulSet %s would stop (%s).", words.Plural(len(ready), "ready Pod"), set.Name, words.Names(ready)),
		Remedy:  fmt.Sprintf("to leave them running: %s --cascade=orphan", policies.Command("delete", set)),
	}}, nil
}

// releaseGoes reports whether Helm is uninstalling the StatefulSet's release. It has then deleted the governing Service and ignores
// a denial here. Half a release is worse than none, and the claims are kept.
func releaseGoes(set *appsv1.StatefulSet, c policies.Cluster) (bool, error) {
	if !sameRelease(set, set) || set.Spec.ServiceName == "" {
		return false, nil
	}
	service, known, err := policies.Get[*corev1.Service](c, set.Namespace, set.Spec.ServiceName)
	return known && (service == nil || service.DeletionTimestamp != nil), err
}

// leavesFiles returns findings for a StatefulSet that is removed from the files, or renamed. Unlike a delete in a cluster, this may
// be a mistake in an edit.
func leavesFiles(ch policies.Change, set *appsv1.StatefulSet) []policies.Finding {
	f := policies.Finding{Path: "metadata.name"}
	if next := ch.Replacement; next != nil {
		f.Check = "renamed"
		f.Message = fmt.Sprintf("Renaming StatefulSet %s to %s creates a new StatefulSet: %s stop, and %s start under names that their peers do not know.",
			set.Name, next.Name, statefulset.PodNames(set, statefulset.Ranges{statefulset.OrdinalsOf(set)}), statefulset.PodNames(next, statefulset.Ranges{statefulset.OrdinalsOf(next)}))
		if len(set.Spec.VolumeClaimTemplates) > 0 {
			f.Message = fmt.Sprintf("Renaming StatefulSet %s to %s creates a new StatefulSet: %s start on new, empty claims, and the data stays in the claims of %s.",
				set.Name, next.Name, statefulset.PodNames(next, statefulset.Ranges{statefulset.OrdinalsOf(next)}), statefulset.PodNames(set, statefulset.Ranges{statefulset.OrdinalsOf(set)}))
		}
		f.Remedy = fmt.Sprintf("keep the name %s, or add %s beside it, move the data, then remove %s.", set.Name, next.Name, set.Name)
	} else {
		f.Check, f.Unknown = "removed", true
		f.Message = fmt.Sprintf("StatefulSet %s is no longer in the files, so a tool that prunes deletes it. Its claims stay.", set.Name)
		f.Remedy = "add it again, unless you want to delete it."
	}
	return []policies.Finding{f}
}

func keepClaims(set *appsv1.StatefulSet) string {
	return fmt.Sprintf("to replace it and keep Pods and claims: %s --cascade=orphan. To stop it and keep the data: %s, then delete it.",
		policies.Command("delete", set), policies.Patch(set, `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}`))
}

// belongsToMember returns a finding if the claim holds a member's data.
func belongsToMember(claim *corev1.PersistentVolumeClaim, c policies.Cluster, p v1alpha1.DeleteProtection) ([]policies.Finding, error) {
	f := policies.Finding{
		Check: "in-use", Action: p.InUse, Path: "metadata.name",
		Remedy: "back up the data. To start this member empty, annotate the claim and try again: " +
			policies.BypassCommand("delete-protection", claim),
	}
	pod, err := policies.MemberOn(claim, c)
	if err != nil {
		return nil, err
	}
	if statefulset.Empty(claim, pod) {
		return nil, nil
	}
	if pod != nil {
		f.Message = usedBy(pod, claim)
		return []policies.Finding{f}, nil
	}
	set, _, err := policies.ClaimantOf(claim, c)
	if set != nil {
		if n, ok := statefulset.ClaimOrdinal(set, claim); ok && set.DeletionTimestamp == nil && statefulset.OrdinalsOf(set).Has(n) {
			f.Message = fmt.Sprintf("Claim %s holds the data of Pod %s-%d, which StatefulSet %s starts again: it would start on a new, empty claim.",
				claim.Name, set.Name, n, set.Name)
			return []policies.Finding{f}, err
		}
	}
	if set != nil || err != nil {
		return nil, err
	}
	if pod, err = operatorsPodOn(claim, c); pod == nil || err != nil {
		return nil, err
	}
	// An operator that manages Pods without a StatefulSet removes members together with their claims.
	f.Action, f.Message = cmp.Or(p.InUse, p.Action).AtMost(v1alpha1.Warn), usedBy(pod, claim)
	return []policies.Finding{f}, nil
}

func usedBy(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) string {
	return fmt.Sprintf("Pod %s uses claim %s: the claim would stay Terminating, and its data is lost when the Pod restarts.", pod.Name, claim.Name)
}

// operatorsPodOn returns the Pod with the claim's name that uses it and that a custom resource controls, or nil.
func operatorsPodOn(claim *corev1.PersistentVolumeClaim, c policies.Cluster) (*corev1.Pod, error) {
	name, n, ok := statefulset.CutOrdinal(claim.Name)
	if !ok {
		return nil, nil
	}
	candidates := []string{claim.Name}
	for member := range policies.SetNames(name) {
		candidates = append(candidates, fmt.Sprintf("%s-%d", member, n))
	}
	for _, candidate := range candidates {
		pod, _, err := policies.Get[*corev1.Pod](c, claim.Namespace, candidate)
		if err != nil {
			return nil, err
		}
		if pod == nil || !statefulset.Uses(pod, claim) {
			continue
		}
		if owner := metav1.GetControllerOf(pod); owner != nil && kinds.IsCustom(schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group) {
			return pod, nil
		}
	}
	return nil, nil
}

// pvcProtection is the finalizer that keeps a claim until no Pod uses it.
const pvcProtection = "kubernetes.io/pvc-protection"

// waitsForItsPod returns a finding if removing the finalizer deletes the claim before its Pod.
func waitsForItsPod(ch policies.Change, c policies.Cluster, p v1alpha1.DeleteProtection) ([]policies.Finding, error) {
	claim := ch.Old.(*corev1.PersistentVolumeClaim)
	if claim.DeletionTimestamp == nil || !slices.Contains(claim.Finalizers, pvcProtection) || slices.Contains(ch.New.GetFinalizers(), pvcProtection) {
		return nil, nil
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	pod, err := policies.MemberOn(claim, c)
	if pod == nil {
		return nil, err
	}
	f := policies.Finding{
		Check: "finalizer", Action: p.InUse, Path: "metadata.finalizers",
		Message: fmt.Sprintf("Claim %s is Terminating and Pod %s still uses it. Without the finalizer %s the claim and its data are deleted while the Pod runs.",
			claim.Name, pod.Name, pvcProtection),
		Remedy: fmt.Sprintf("keep the finalizer and Pod %s running, and copy the data elsewhere.", pod.Name),
	}
	if volume := claim.Spec.VolumeName; volume != "" {
		f.Remedy += fmt.Sprintf(` To keep the volume when the claim is deleted: kubectl patch persistentvolume %s -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`, volume)
	}
	return []policies.Finding{f}, err
}

// holdsMember returns a finding if the volume holds a member's data.
func holdsMember(volume *corev1.PersistentVolume, c policies.Cluster, p v1alpha1.DeleteProtection) ([]policies.Finding, error) {
	claimed := volume.Spec.ClaimRef
	if claimed == nil || volume.Status.Phase != corev1.VolumeBound {
		return nil, nil
	}
	claim, _, err := policies.Get[*corev1.PersistentVolumeClaim](c, claimed.Namespace, claimed.Name)
	if err != nil || claim == nil || claim.DeletionTimestamp != nil {
		// Without its claim, the provisioner may delete the volume, whatever its phase still says.
		return nil, err
	}
	whose, err := memberOf(claim, c)
	if whose != "" {
		return []policies.Finding{{
			Check: "volume", Action: p.InUse, Path: "metadata.name",
			Message: fmt.Sprintf("Volume %s holds the data of %s (claim %s in namespace %s). It would stay Terminating, which you cannot undo, and is deleted with the claim.",
				volume.Name, whose, claim.Name, claim.Namespace),
			Remedy: fmt.Sprintf("delete the claim instead. The reclaim policy decides whether the volume stays: kubectl get persistentvolume %s. To delete the volume, annotate it and try again: %s",
				volume.Name, policies.BypassCommand("delete-protection", volume)),
		}}, err
	}
	return nil, err
}

// mostNamed is how many claims of a namespace are counted. Above that, the exact number does not matter.
const mostNamed = 50

// holdsData returns findings for what a namespace delete destroys: claims that belong, or belonged, to a StatefulSet, whatever
// their ordinal, and objects with the protect label. No later request asks: the namespace controller's deletes are allowed.
func holdsData(namespace *corev1.Namespace, c policies.Cluster, p v1alpha1.DeleteProtection) ([]policies.Finding, error) {
	look := fmt.Sprintf("list its data: kubectl -n %s get statefulsets,persistentvolumeclaims. ", namespace.Name)
	var found []policies.Finding
	data, all, err := dataIn(namespace.Name, c)
	if err != nil {
		return nil, err
	}
	if len(data) > 0 {
		in := words.Plural(len(data), "claim")
		if !all {
			in = "at least " + in
		}
		found = append(found, policies.Finding{
			Check: "namespace", Action: p.Namespace, Path: "metadata.name",
			Message: fmt.Sprintf("Deleting namespace %s deletes the data of StatefulSets in %s (%s).", namespace.Name, in, words.Names(data)),
			Remedy:  look + "If nobody needs the data, annotate it and try again: " + policies.BypassCommand("delete-protection", namespace),
		})
	}
	marked := labels.SelectorFromSet(labels.Set{policies.ProtectLabel: "true"})
	sets, _, err1 := policies.Select[*appsv1.StatefulSet](c, namespace.Name, marked)
	claims, _, err2 := policies.Select[*corev1.PersistentVolumeClaim](c, namespace.Name, marked)
	var kept []string
	for _, set := range sets {
		kept = append(kept, "StatefulSet "+set.Name)
	}
	for _, claim := range claims {
		kept = append(kept, "PersistentVolumeClaim "+claim.Name)
	}
	if len(kept) > 0 {
		found = append(found, policies.Finding{
			Check: "protected", Action: p.Protected, Path: "metadata.name",
			Message: fmt.Sprintf("Deleting namespace %s deletes objects with the label %s=true (%s).",
				namespace.Name, policies.ProtectLabel, words.List(kept)),
			Remedy: look + "To delete the namespace, remove the labels first.",
		})
	}
	return found, errors.Join(err1, err2)
}

// dataIn returns the namespace's claims that hold data of StatefulSets, and whether these are all.
func dataIn(namespace string, c policies.Cluster) (data []*corev1.PersistentVolumeClaim, all bool, err error) {
	all = true
	var failed error
	_, err = policies.Walk(c, namespace, func(claim *corev1.PersistentVolumeClaim) bool {
		// Once some data is found, more reads make no difference.
		holds := len(data) > 0 && !statefulset.Empty(claim, nil) && (statefulset.LeftBehind(claim) || statefulset.Named(claim))
		if !holds {
			holds, failed = holdsMemberData(claim, c)
		}
		if holds && len(data) == mostNamed {
			all = false
		} else if holds {
			data = append(data, claim)
		}
		return failed != nil || !all
	})
	return data, all, errors.Join(err, failed)
}

func holdsMemberData(claim *corev1.PersistentVolumeClaim, c policies.Cluster) (bool, error) {
	if statefulset.Empty(claim, nil) {
		return false, nil
	}
	pod, err := policies.MemberOn(claim, c)
	if err != nil || statefulset.Empty(claim, pod) {
		return false, err
	}
	if pod != nil || statefulset.LeftBehind(claim) || statefulset.Named(claim) {
		return true, nil
	}
	set, _, err := policies.ClaimantOf(claim, c)
	return set != nil, err
}
