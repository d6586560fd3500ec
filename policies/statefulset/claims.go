package statefulset

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// ClaimOrdinal returns the ordinal for which one of the StatefulSet's templates gives a claim this name. A name is all
// that makes a claim a StatefulSet's.
func ClaimOrdinal(set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) (int64, bool) {
	for i := range set.Spec.VolumeClaimTemplates {
		if n, ok := OrdinalIn(claim.Name, set.Spec.VolumeClaimTemplates[i].Name+"-"+set.Name); ok {
			return n, true
		}
	}
	return 0, false
}

// ClaimsOf returns those of the claims that the StatefulSet's templates name for one of the ordinals.
func ClaimsOf(set *appsv1.StatefulSet, claims []*corev1.PersistentVolumeClaim, of Ranges) []*corev1.PersistentVolumeClaim {
	var own []*corev1.PersistentVolumeClaim
	for _, claim := range claims {
		if n, ok := ClaimOrdinal(set, claim); ok && of.Has(n) {
			own = append(own, claim)
		}
	}
	return own
}

// Claimant returns the StatefulSet that has a name for the claim, or nil.
func Claimant(claim *corev1.PersistentVolumeClaim, sets []*appsv1.StatefulSet) *appsv1.StatefulSet {
	for _, set := range sets {
		if _, ok := ClaimOrdinal(set, claim); ok {
			return set
		}
	}
	return nil
}

// LeftBehind tells whether a StatefulSet's controller seems to have made the claim. A generic ephemeral volume is made by a
// controller too, and belongs to its Pod.
func LeftBehind(claim *corev1.PersistentVolumeClaim) bool {
	_, _, ordinal := CutOrdinal(claim.Name)
	return ordinal && metav1.GetControllerOf(claim) == nil && (madeBy(claim, makers...) || claim.Labels[veleroRestore] != "")
}

// Named tells whether the claim bears a name and a label such as a StatefulSet gives. Somebody may have made it by hand.
func Named(claim *corev1.PersistentVolumeClaim) bool {
	name, _, ordinal := CutOrdinal(claim.Name)
	return ordinal && metav1.GetControllerOf(claim) == nil && namedByLabel(name, claim.Labels)
}

// veleroRestore is the label that Velero leaves on what it restores.
const veleroRestore = "velero.io/restore-name"

// controllerManagers are the names under which the StatefulSet controller makes claims: k3s and MicroK8s run it in their one process.
var controllerManagers = []string{"kube-controller-manager", "k3s", "kubelite"}

// makers make claims that are, or were, a StatefulSet's.
var makers = append([]string{"velero-server"}, controllerManagers...)

func madeBy(claim *corev1.PersistentVolumeClaim, names ...string) bool {
	return slices.ContainsFunc(claim.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return slices.Contains(names, entry.Manager) && kinds.MadeClaim(entry)
	})
}

// namedByLabel tells whether a claim without its ordinal ends in the value of one of its labels, as template-set does where
// the claim has the labels of set's Pods.
func namedByLabel(name string, labels map[string]string) bool {
	for _, value := range labels {
		if value != "" && strings.HasSuffix(name, "-"+value) {
			return true
		}
	}
	return false
}

// Empty tells whether the claim holds no data: it was never bound, has lost its volume, or was made for this Pod, which never
// was ready. The Pod may be nil.
func Empty(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	if claim.Status.Phase == corev1.ClaimPending || claim.Status.Phase == corev1.ClaimLost {
		return true
	}
	return pod != nil && claim.Spec.DataSourceRef == nil && madeBy(claim, controllerManagers...) && madeTogether(claim, pod) && NeverReady(pod)
}

// madeTogether tells whether the controller made the claim for this very Pod, and not for one before it.
func madeTogether(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	const sync = 2 * time.Second
	return !claim.CreationTimestamp.IsZero() && pod.CreationTimestamp.Sub(claim.CreationTimestamp.Time).Abs() <= sync && !usedBefore(claim, pod)
}

// usedBefore tells whether a Pod before this one used the claim, where the API server says since when one does (Kubernetes 1.37).
func usedBefore(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	return slices.ContainsFunc(claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool {
		return c.Type == corev1.PersistentVolumeClaimUnused && c.Status == corev1.ConditionFalse && c.LastTransitionTime.Before(&pod.CreationTimestamp)
	})
}

// UnusedSince returns since when no Pod uses the claim: now, where the API server has not yet seen that none does. It is zero
// where the API server does not say (before Kubernetes 1.37).
func UnusedSince(claim *corev1.PersistentVolumeClaim, now time.Time) time.Time {
	for _, c := range claim.Status.Conditions {
		switch {
		case c.Type != corev1.PersistentVolumeClaimUnused:
		case c.Status == corev1.ConditionTrue:
			return c.LastTransitionTime.Time
		case c.Status == corev1.ConditionFalse:
			return now
		}
	}
	return time.Time{}
}

// Retention returns the StatefulSet's retention policy, Retain where it has none.
func Retention(set *appsv1.StatefulSet) appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	const retain = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	var r appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy
	if set.Spec.PersistentVolumeClaimRetentionPolicy != nil {
		r = *set.Spec.PersistentVolumeClaimRetentionPolicy
	}
	r.WhenDeleted, r.WhenScaled = cmp.Or(r.WhenDeleted, retain), cmp.Or(r.WhenScaled, retain)
	return r
}

// DeletesWithSet tells whether the StatefulSet takes its claims along when it is deleted.
func DeletesWithSet(set *appsv1.StatefulSet) bool {
	return len(set.Spec.VolumeClaimTemplates) > 0 && Retention(set).WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
}

// Takes tells whether the claim goes when the StatefulSet is deleted. What the StatefulSet owns does. Its controller makes it the
// owner of its members' claims a moment after it is told to, never takes a claim back whose Pod is gone, and leaves alone what
// another controls.
func Takes(set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) bool {
	if claim.Namespace != set.Namespace {
		return false
	}
	if Owns(set, claim) {
		return true
	}
	n, ok := ClaimOrdinal(set, claim)
	controller := metav1.GetControllerOf(claim)
	return ok && DeletesWithSet(set) && OrdinalsOf(set).Has(n) && (controller == nil || controller.UID == set.UID)
}

// DeletesWithScale tells whether a scale-down takes the claims of the Pods along that go.
func DeletesWithScale(set *appsv1.StatefulSet) bool {
	return len(set.Spec.VolumeClaimTemplates) > 0 && Retention(set).WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
}

// Owns tells whether the object names the StatefulSet as an owner, and so goes when it does.
func Owns(set *appsv1.StatefulSet, o metav1.Object) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
		return set.UID != "" && owner.UID == set.UID
	})
}

// KeepsData tells whether the StatefulSet's Pods have claims, from templates or by name.
func KeepsData(set *appsv1.StatefulSet) bool {
	return len(set.Spec.VolumeClaimTemplates) > 0 || slices.ContainsFunc(set.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil
	})
}
