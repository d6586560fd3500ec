package statefulset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Members returns the StatefulSet's Pods by their ordinals. Where either has no UID, as in a file, its name has to do.
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

// Ready tells whether the Pod serves and goes on serving.
func Ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && HasCondition(pod, corev1.PodReady)
}

// NeverReady tells whether the Pod has not been ready since it started. The kubelet writes the condition when it starts the
// Pod, and its time changes when the Pod becomes ready, or ceases to be.
func NeverReady(pod *corev1.Pod) bool {
	const write = 2 * time.Second
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status != corev1.ConditionTrue && pod.Status.StartTime != nil && c.LastTransitionTime.Sub(pod.Status.StartTime.Time) <= write
		}
	}
	return pod.Status.StartTime == nil
}

// HasCondition tells whether the Pod's condition is True.
func HasCondition(pod *corev1.Pod, condition corev1.PodConditionType) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == condition && c.Status == corev1.ConditionTrue
	})
}

// Finished tells whether the Pod runs nothing and never will again.
func Finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Lasts tells whether the Pod is to run for good, as a server does and a task does not.
func Lasts(pod *corev1.Pod) bool {
	return pod.Spec.RestartPolicy == "" || pod.Spec.RestartPolicy == corev1.RestartPolicyAlways
}

// Mounts tells whether the Pod uses the claim.
func Mounts(pod corev1.PodSpec, claim string) bool {
	return slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// ProbesReadiness tells whether any container that runs for as long as the Pod has a readiness probe.
func ProbesReadiness(set *appsv1.StatefulSet) bool {
	spec := set.Spec.Template.Spec
	probed := func(c corev1.Container) bool { return c.ReadinessProbe != nil }
	return slices.ContainsFunc(spec.Containers, probed) || slices.ContainsFunc(spec.InitContainers, probed)
}

// Majority is how many of so many members decide.
func Majority(members int64) int64 { return members/2 + 1 }

// ReadySince returns since when the Pod is as ready, or as unready, as it is.
func ReadySince(pod *corev1.Pod) time.Time {
	since := pod.CreationTimestamp.Time
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.LastTransitionTime.After(since) {
			since = c.LastTransitionTime.Time
		}
	}
	return since
}

// WaitingFor is what a container of the Pod waits for, in the API's own word: CrashLoopBackOff, ImagePullBackOff and their like.
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
