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

// ClaimOrdinal returns the ordinal for which one of the StatefulSet's templates gives a claim this name. Only its name makes a
// claim a StatefulSet's.
func ClaimOrdinal(set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) (int64, bool) {
	for i := range set.Spec.VolumeClaimTemplates {
		if n, ok := OrdinalIn(claim.Name, set.Spec.VolumeClaimTemplates[i].Name+"-"+set.Name); ok {
			return n, true
		}
	}
	return 0, false
}

// ClaimsOf returns the claims that the StatefulSet's templates name for these ordinals.
func ClaimsOf(set *appsv1.StatefulSet, claims []*corev1.PersistentVolumeClaim, of Ranges) []*corev1.PersistentVolumeClaim {
	var own []*corev1.PersistentVolumeClaim
	for _, claim := range claims {
		if n, ok := ClaimOrdinal(set, claim); ok && of.Has(n) {
			own = append(own, claim)
		}
	}
	return own
}

// Claimant returns the StatefulSet whose templates name the claim, or nil.
func Claimant(claim *corev1.PersistentVolumeClaim, sets []*appsv1.StatefulSet) *appsv1.StatefulSet {
	for _, set := range sets {
		if _, ok := ClaimOrdinal(set, claim); ok {
			return set
		}
	}
	return nil
}

// LeftBehind reports whether a StatefulSet's controller seems to have created the claim. A controller also creates generic
// ephemeral volumes, which belong to a Pod.
func LeftBehind(claim *corev1.PersistentVolumeClaim) bool {
	_, _, ordinal := CutOrdinal(claim.Name)
	return ordinal && metav1.GetControllerOf(claim) == nil && (madeBy(claim, makers...) || claim.Labels[veleroRestore] != "")
}

// Named reports whether the claim has a name and a label as a StatefulSet's has. It may have been created by hand.
func Named(claim *corev1.PersistentVolumeClaim) bool {
	name, _, ordinal := CutOrdinal(claim.Name)
	return ordinal && metav1.GetControllerOf(claim) == nil && namedByLabel(name, claim.Labels)
}

// veleroRestore is the label of what Velero restores.
const veleroRestore = "velero.io/restore-name"

// controllerManagers are the field managers of the StatefulSet controller. k3s and MicroK8s run it in their single process.
var controllerManagers = []string{"kube-controller-manager", "k3s", "kubelite"}

// makers are the field managers that create claims for StatefulSets.
var makers = append([]string{"velero-server"}, controllerManagers...)

func madeBy(claim *corev1.PersistentVolumeClaim, names ...string) bool {
	return slices.ContainsFunc(claim.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return slices.Contains(names, entry.Manager) && kinds.MadeClaim(entry)
	})
}

// namedByLabel reports whether the claim's name without the ordinal ends in the value of one of its labels. The name ends in that
// of its StatefulSet, which is often a label too.
func namedByLabel(name string, labels map[string]string) bool {
	for _, value := range labels {
		if value != "" && strings.HasSuffix(name, "-"+value) {
			return true
		}
	}
	return false
}

// Empty reports whether the claim holds no data: it was never bound, is Lost, or was created for this Pod, which was never ready.
// The Pod may be nil.
func Empty(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	if claim.Status.Phase == corev1.ClaimPending || claim.Status.Phase == corev1.ClaimLost {
		return true
	}
	return pod != nil && claim.Spec.DataSourceRef == nil && madeBy(claim, controllerManagers...) && madeTogether(claim, pod) && NeverReady(pod)
}

// madeTogether reports whether the controller created the claim for this Pod, not for an earlier one.
func madeTogether(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	const sync = 2 * time.Second
	return !claim.CreationTimestamp.IsZero() && pod.CreationTimestamp.Sub(claim.CreationTimestamp.Time).Abs() <= sync && !usedBefore(claim, pod)
}

// usedBefore reports whether an earlier Pod used the claim, if the API server records that (since Kubernetes 1.37).
func usedBefore(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	return slices.ContainsFunc(claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool {
		return c.Type == corev1.PersistentVolumeClaimUnused && c.Status == corev1.ConditionFalse && c.LastTransitionTime.Before(&pod.CreationTimestamp)
	})
}

// UnusedSince returns since when no Pod uses the claim. It is now if a Pod may still use it, and zero before Kubernetes 1.37, which
// records this.
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

// Retention returns the StatefulSet's retention policy, with Retain as the default.
func Retention(set *appsv1.StatefulSet) appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	const retain = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	var r appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy
	if set.Spec.PersistentVolumeClaimRetentionPolicy != nil {
		r = *set.Spec.PersistentVolumeClaimRetentionPolicy
	}
	r.WhenDeleted, r.WhenScaled = cmp.Or(r.WhenDeleted, retain), cmp.Or(r.WhenScaled, retain)
	return r
}

// DeletesWithSet reports whether deleting the StatefulSet deletes its claims.
func DeletesWithSet(set *appsv1.StatefulSet) bool {
	return len(set.Spec.VolumeClaimTemplates) > 0 && Retention(set).WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
}

// Takes reports whether deleting the StatefulSet deletes the claim. That is so if the StatefulSet owns it. Its controller adds the
// owner to its members' claims soon after the policy changes, never removes it from a claim whose Pod is gone, and does not touch
// claims that another object controls.
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

// DeletesWithScale reports whether a scale-down deletes the claims of the Pods that go.
func DeletesWithScale(set *appsv1.StatefulSet) bool {
	return len(set.Spec.VolumeClaimTemplates) > 0 && Retention(set).WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
}

// Owns reports whether the StatefulSet is an owner of the object, which is then deleted with it.
func Owns(set *appsv1.StatefulSet, o metav1.Object) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
		return set.UID != "" && owner.UID == set.UID
	})
}

// KeepsData reports whether the StatefulSet's Pods have claims, from templates or by name.
func KeepsData(set *appsv1.StatefulSet) bool {
	return len(set.Spec.VolumeClaimTemplates) > 0 || slices.ContainsFunc(set.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil
	})
}
