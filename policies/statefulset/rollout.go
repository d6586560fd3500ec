package statefulset

import (
	"bytes"
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// Partition returns how many Pods a rolling update keeps, counted from the start ordinal.
func Partition(set *appsv1.StatefulSet) int64 {
	if rolling := set.Spec.UpdateStrategy.RollingUpdate; rolling != nil {
		return int64(ptr.Deref(rolling.Partition, 0))
	}
	return 0
}

// Behind returns how many Pods a rolling update still has to replace.
func Behind(set *appsv1.StatefulSet) int64 {
	status := set.Status
	if status.UpdateRevision == status.CurrentRevision || set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		// OnDelete replaces a Pod only after someone deletes it, so no rollout is in progress.
		return 0
	}
	return max(0, Rolls(set)-int64(status.UpdatedReplicas))
}

// Rolls returns how many Pods a rolling update can replace.
func Rolls(set *appsv1.StatefulSet) int64 { return max(0, OrdinalsOf(set).Count()-Partition(set)) }

// Settled reports whether all Pods exist, are ready and up to date according to the StatefulSet's status. The controller updates
// the status as soon as a Pod changes.
func Settled(set *appsv1.StatefulSet) bool {
	s, all := set.Status, int32(OrdinalsOf(set).Count())
	return s.ObservedGeneration == set.Generation && s.Replicas == all && s.ReadyReplicas == all && s.UpdatedReplicas == all
}

// SameTemplate reports whether both have the same Pod template. Comparing encodings is several times faster than comparing fields.
// If they differ, the templates can still be equal, such as 1000m and 1 CPU.
func SameTemplate(older, newer *appsv1.StatefulSet) bool {
	was, err1 := older.Spec.Template.Marshal()
	is, err2 := newer.Spec.Template.Marshal()
	return err1 == nil && err2 == nil && bytes.Equal(was, is) || equality.Semantic.DeepEqual(older.Spec.Template, newer.Spec.Template)
}

// MaxUnavailable returns how many of the replicas a rolling update replaces at a time, computed as the StatefulSet controller does:
// percentages are rounded down, and the result is at least one.
func MaxUnavailable(limit *intstr.IntOrString, replicas int64) int64 {
	taken, err := intstr.GetScaledValueFromIntOrPercent(cmp.Or(limit, ptr.To(intstr.FromInt32(1))), int(replicas), false)
	if err != nil {
		return 1
	}
	return min(replicas, max(1, int64(taken)))
}
