package statefulset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Members returns the StatefulSet's Pods by ordinal. If either has no UID, as in files, the name decides.
func Members(set *appsv1.StatefulSet, pods []*corev1.Pod) map[int64]*corev1.Pod {
	own := map[int64]*corev1.Pod{}
	for _, pod := range pods {
		owner := metav1.GetControllerOf(pod)
		if n, ok := OrdinalIn(pod.Name, set.Name); ok && (owner == nil || set.UID == "" || owner.UID == set.UID) {
			own[n] = pod
		}
	}
	return own
}

// Ready reports whether the Pod is ready and not Terminating.
func Ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && HasCondition(pod, corev1.PodReady)
}

// NeverReady reports whether the Pod has not been ready since it started. The kubelet sets the condition when the Pod starts, and
// changes its time when the Pod becomes ready or unready.
func NeverReady(pod *corev1.Pod) bool {
	const write = 2 * time.Second
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status != corev1.ConditionTrue && pod.Status.StartTime != nil && c.LastTransitionTime.Sub(pod.Status.StartTime.Time) <= write
		}
	}
	return pod.Status.StartTime == nil
}

// HasCondition reports whether the Pod's condition is True.
func HasCondition(pod *corev1.Pod, condition corev1.PodConditionType) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == condition && c.Status == corev1.ConditionTrue
	})
}

// Finished reports whether the Pod has ended for good.
func Finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Lasts reports whether the Pod is meant to run forever, as a server and not a task.
func Lasts(pod *corev1.Pod) bool {
	return pod.Spec.RestartPolicy == "" || pod.Spec.RestartPolicy == corev1.RestartPolicyAlways
}

// Mounts reports whether the Pod uses the claim.
func Mounts(pod corev1.PodSpec, claim string) bool {
	return slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// Uses reports whether the Pod uses the claim and has not finished.
func Uses(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	return !Finished(pod) && Mounts(pod.Spec, claim.Name)
}

// ProbesReadiness reports whether a container that runs for the Pod's whole life has a readiness probe.
func ProbesReadiness(set *appsv1.StatefulSet) bool {
	spec := set.Spec.Template.Spec
	probed := func(c corev1.Container) bool { return c.ReadinessProbe != nil }
	return slices.ContainsFunc(spec.Containers, probed) || slices.ContainsFunc(spec.InitContainers, probed)
}

// Majority returns how many members are a majority.
func Majority(members int64) int64 { return members/2 + 1 }

// ReadySince returns since when the Pod's readiness has not changed.
func ReadySince(pod *corev1.Pod) time.Time {
	since := pod.CreationTimestamp.Time
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.LastTransitionTime.After(since) {
			since = c.LastTransitionTime.Time
		}
	}
	return since
}

// WaitingFor returns the reason that a container of the Pod waits for, as in the API: CrashLoopBackOff, ImagePullBackOff.
func WaitingFor(pod *corev1.Pod) string {
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
