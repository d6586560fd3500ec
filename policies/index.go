package policies

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
)

// Index finds objects of a kind by what they name, where a look through all of them would take long.
type Index struct {
	Kind *kinds.Kind
	// Name is how a cache knows the index. Of a kind that is Live it is a field that the API server selects by.
	Name string
	// Of returns the values under which the object is found.
	Of func(kinds.Object) []string
}

// Indexes are those that caches hold.
var Indexes = []*Index{needs}

// Indexed is a Cluster that holds the Indexes.
type Indexed interface {
	// By returns the objects of a namespace, or of all where it is empty, that are found under the value.
	By(index *Index, namespace, value string) (all []kinds.Object, known bool, err error)
}

// By returns the objects of the Go type T that are found under the value.
func By[T kinds.Object](c Cluster, index *Index, namespace, value string) ([]T, bool, error) {
	all, known, err := by(c, index, namespace, value)
	found := make([]T, 0, len(all))
	for _, o := range all {
		found = append(found, o.(T))
	}
	return found, known, err
}

// by looks through all objects where the Cluster is not Indexed.
func by(c Cluster, index *Index, namespace, value string) ([]kinds.Object, bool, error) {
	if indexed, ok := c.(Indexed); ok {
		return indexed.By(index, namespace, value)
	}
	all, known, err := c.List(index.Kind, namespace, labels.Everything())
	return slices.DeleteFunc(slices.Clone(all), func(o kinds.Object) bool { return !slices.Contains(index.Of(o), value) }), known, err
}

// needs finds StatefulSets by the objects without which their Pods do not start.
var needs = &Index{Kind: kinds.StatefulSet, Name: "needs", Of: func(o kinds.Object) []string {
	var all []string
	need := func(kind *kinds.Kind, name string, optional *bool) {
		if name != "" && !ptr.Deref(optional, false) {
			all = append(all, kind.Kind+"/"+name)
		}
	}
	set := o.(*appsv1.StatefulSet)
	pod := set.Spec.Template.Spec
	need(kinds.PriorityClass, pod.PriorityClassName, nil)
	need(kinds.ServiceAccount, cmp.Or(pod.ServiceAccountName, pod.DeprecatedServiceAccount), nil)
	for i := range set.Spec.VolumeClaimTemplates {
		need(kinds.StorageClass, ptr.Deref(set.Spec.VolumeClaimTemplates[i].Spec.StorageClassName, ""), nil)
	}
	for _, s := range pod.ImagePullSecrets {
		need(kinds.Secret, s.Name, nil)
	}
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			need(kinds.Secret, v.Secret.SecretName, v.Secret.Optional)
		}
		if v.ConfigMap != nil {
			need(kinds.ConfigMap, v.ConfigMap.Name, v.ConfigMap.Optional)
		}
		for _, s := range ptr.Deref(v.Projected, corev1.ProjectedVolumeSource{}).Sources {
			if s.Secret != nil {
				need(kinds.Secret, s.Secret.Name, s.Secret.Optional)
			}
			if s.ConfigMap != nil {
				need(kinds.ConfigMap, s.ConfigMap.Name, s.ConfigMap.Optional)
			}
		}
	}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, e := range container.EnvFrom {
			if e.SecretRef != nil {
				need(kinds.Secret, e.SecretRef.Name, e.SecretRef.Optional)
			}
			if e.ConfigMapRef != nil {
				need(kinds.ConfigMap, e.ConfigMapRef.Name, e.ConfigMapRef.Optional)
			}
		}
		for _, e := range container.Env {
			from := ptr.Deref(e.ValueFrom, corev1.EnvVarSource{})
			if from.SecretKeyRef != nil {
				need(kinds.Secret, from.SecretKeyRef.Name, from.SecretKeyRef.Optional)
			}
			if from.ConfigMapKeyRef != nil {
				need(kinds.ConfigMap, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Optional)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}}

// InNeedOf returns the StatefulSets with Pods that do not start without the object.
func InNeedOf(o kinds.Object, c Cluster) ([]*appsv1.StatefulSet, error) {
	sets, _, err := By[*appsv1.StatefulSet](c, needs, o.GetNamespace(), kinds.Of(o).Kind+"/"+o.GetName())
	return slices.DeleteFunc(sets, func(set *appsv1.StatefulSet) bool {
		return set.DeletionTimestamp != nil || statefulset.OrdinalsOf(set).Count() == 0
	}), err
}

// onNode finds Pods by their node. The API server selects by it, too.
var onNode = &Index{Kind: kinds.Pod, Name: "spec.nodeName", Of: func(o kinds.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }}

// MembersOn returns the Pods of StatefulSets that have not ended on the node.
func MembersOn(node string, c Cluster) ([]*corev1.Pod, error) {
	pods, _, err := By[*corev1.Pod](c, onNode, "", node)
	return slices.DeleteFunc(pods, func(pod *corev1.Pod) bool {
		owner := metav1.GetControllerOf(pod)
		return owner == nil || owner.Kind != kinds.StatefulSet.Kind || statefulset.Finished(pod)
	}), err
}
