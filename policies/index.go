package policies

import (
	"cmp"
	"math"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
)

// Index finds objects of a kind by a value in them, without reading all of a namespace.
type Index struct {
	Kind *kinds.Kind
	// Name is the name of the index in a cache.
	Name string
	// Everywhere means that the index also finds objects without their namespace.
	Everywhere bool
	// Of returns the values of an object.
	Of func(kinds.Object) []string
}

// Over returns the objects by their values, in the order in which they are given.
func (x *Index) Over(objects []kinds.Object) map[string][]kinds.Object {
	by := map[string][]kinds.Object{}
	for _, o := range objects {
		for _, value := range x.Of(o) {
			by[value] = append(by[value], o)
		}
	}
	return by
}

// Indexes are all the indexes that a cache holds.
var Indexes = []*Index{needs, serviceNames, selected, selecting, selectingBudgets, ownedSets, ownedClaims, claimants, members, users}

// Indexed is a Cluster with a cache that holds the Indexes.
type Indexed interface {
	// Seen returns the cached objects with the value, in a namespace, or in all if it is empty. The cached Pods are the members of
	// StatefulSets, with what the Indexes need of them. If ok is false, the cache has no such index, or has not synced.
	Seen(index *Index, namespace, value string) (objects []kinds.Object, ok bool)
}

// Narrowing is a Cluster that can list only the objects with a value. Unlike one that is Indexed, it may not know all objects.
type Narrowing interface {
	// Narrow returns at least the objects with one of the values, in the order of List. If known is false, there may be more.
	Narrow(index *Index, namespace string, values []string) (some []kinds.Object, known bool, err error)
}

// surely is how many of the objects in a cache By reads again. It trusts the cache for the others, because a finding does not
// depend on so many.
const surely = 8

// By returns the matching objects of type T with one of the values, in the order of their names. A cache only shows where to look:
// an object counts if it still matches when it is read through the Cluster.
func By[T kinds.Object](c Cluster, index *Index, namespace string, values []string, match func(T) bool) ([]T, bool, error) {
	return by(c, index, namespace, values, match, math.MaxInt)
}

// by is By for at most this many objects. To find any, it does not sort them.
func by[T kinds.Object](c Cluster, index *Index, namespace string, values []string, match func(T) bool, most int) (found []T, known bool, err error) {
	has := func(o kinds.Object) bool {
		return match(o.(T)) && slices.ContainsFunc(index.Of(o), func(value string) bool { return slices.Contains(values, value) })
	}
	cached, ok := seen(c, index, namespace, values)
	if !ok {
		all, known, err := narrow(c, index, namespace, values)
		for _, o := range all {
			if len(found) < most && has(o) {
				found = append(found, o.(T))
			}
		}
		return found, known, err
	}
	cached = slices.DeleteFunc(cached, func(o kinds.Object) bool { return !match(o.(T)) })
	if most == math.MaxInt {
		cached = inOrder(cached)
	}
	for _, o := range cached {
		if len(found) == most {
			break
		}
		if len(found) < surely || index.Kind.Live {
			if o, _, err = c.Get(index.Kind, o.GetNamespace(), o.GetName()); err != nil {
				return nil, false, err
			}
			if o == nil || !has(o) {
				continue
			}
		}
		found = append(found, o.(T))
	}
	return found, true, nil
}

func narrow(c Cluster, index *Index, namespace string, values []string) ([]kinds.Object, bool, error) {
	if narrowing, ok := c.(Narrowing); ok {
		return narrowing.Narrow(index, namespace, values)
	}
	return c.List(index.Kind, namespace, labels.Everything())
}

func seen(c Cluster, index *Index, namespace string, values []string) (all []kinds.Object, ok bool) {
	indexed, ok := c.(Indexed)
	for _, value := range values {
		if !ok {
			return nil, false
		}
		var some []kinds.Object
		some, ok = indexed.Seen(index, namespace, value)
		all = append(all, some...)
	}
	return all, ok
}

// inOrder sorts the objects by their names, and leaves one of each.
func inOrder(all []kinds.Object) []kinds.Object {
	order := func(a, b kinds.Object) int {
		return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
	}
	slices.SortFunc(all, order)
	return slices.CompactFunc(all, func(a, b kinds.Object) bool { return order(a, b) == 0 })
}

// needs finds StatefulSets by the objects that their Pods need to start.
var needs = &Index{Kind: kinds.StatefulSet, Name: "needs", Everywhere: true, Of: func(o kinds.Object) []string {
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

// InNeedOf returns the StatefulSets whose Pods need the object to start.
func InNeedOf(o kinds.Object, c Cluster) ([]*appsv1.StatefulSet, error) {
	sets, _, err := By(c, needs, o.GetNamespace(), []string{kinds.Of(o).Kind + "/" + o.GetName()}, runs)
	return sets, err
}

// ClassServes reports whether members of any StatefulSet run on claims of the StorageClass, even if it was deleted.
func ClassServes(class string, c Cluster) (bool, error) {
	sets, _, err := by(c, needs, "", []string{kinds.StorageClass.Kind + "/" + class}, func(set *appsv1.StatefulSet) bool { return set.Status.ReadyReplicas > 0 }, 1)
	return len(sets) > 0, err
}

// runs reports whether the StatefulSet should have Pods.
func runs(set *appsv1.StatefulSet) bool {
	return set.DeletionTimestamp == nil && statefulset.OrdinalsOf(set).Count() > 0
}

// serviceNames finds StatefulSets by their governing Services.
var serviceNames = &Index{Kind: kinds.StatefulSet, Name: "serviceName", Of: func(o kinds.Object) []string {
	return []string{o.(*appsv1.StatefulSet).Spec.ServiceName}
}}

// GovernedBy returns the StatefulSets with replicas that have this governing Service.
func GovernedBy(service *corev1.Service, c Cluster) ([]*appsv1.StatefulSet, error) {
	sets, _, err := By(c, serviceNames, service.Namespace, []string{service.Name}, runs)
	return sets, err
}

// Complete reports whether the Cluster knows all StatefulSets of the namespace. Files do not.
func Complete(c Cluster, namespace string) (bool, error) {
	// Few StatefulSets have no governing Service, so this reads little.
	_, known, err := By(c, serviceNames, namespace, []string{""}, func(*appsv1.StatefulSet) bool { return false })
	return known, err
}

// selected finds StatefulSets by each of their Pods' labels.
var selected = &Index{Kind: kinds.StatefulSet, Name: "selected", Of: func(o kinds.Object) []string {
	return each(o.(*appsv1.StatefulSet).Spec.Template.Labels)
}}

// selecting and selectingBudgets find StatefulSets and PodDisruptionBudgets by one label that they select.
var (
	selecting = &Index{Kind: kinds.StatefulSet, Name: "selecting", Of: func(o kinds.Object) []string {
		return []string{first(o.(*appsv1.StatefulSet).Spec.Selector)}
	}}
	selectingBudgets = &Index{Kind: kinds.PodDisruptionBudget, Name: "selecting", Of: func(o kinds.Object) []string {
		return []string{first(o.(*policyv1.PodDisruptionBudget).Spec.Selector)}
	}}
)

// each returns the labels as index values, with an empty one for selectors that require no label value.
func each(of map[string]string) []string {
	all := append(make([]string, 0, len(of)+1), "")
	for key, value := range of {
		all = append(all, key+"="+value)
	}
	return all
}

// first returns a label that the selector requires, or "" if it requires no label value.
func first(selector *metav1.LabelSelector) string {
	var least string
	for key, value := range ptr.Deref(selector, metav1.LabelSelector{}).MatchLabels {
		if label := key + "=" + value; least == "" || label < least {
			least = label
		}
	}
	return least
}

// SelectedBy returns the StatefulSets with Pods that the selector selects.
func SelectedBy(selector *metav1.LabelSelector, namespace string, c Cluster) ([]*appsv1.StatefulSet, error) {
	sets, _, err := By(c, selected, namespace, []string{first(selector)}, func(set *appsv1.StatefulSet) bool {
		return runs(set) && statefulset.Selects(selector, set.Spec.Template.Labels)
	})
	return sets, err
}

// Overlapping returns other StatefulSets with Pods that select this one's Pods, or whose Pods it selects.
func Overlapping(set *appsv1.StatefulSet, c Cluster) ([]*appsv1.StatefulSet, error) {
	all, err := SelectedBy(set.Spec.Selector, set.Namespace, c)
	if err != nil {
		return nil, err
	}
	more, _, err := By(c, selecting, set.Namespace, each(set.Spec.Template.Labels), func(other *appsv1.StatefulSet) bool {
		return runs(other) && statefulset.Selects(other.Spec.Selector, set.Spec.Template.Labels) && !hasName(all, other.Name)
	})
	return slices.DeleteFunc(append(all, more...), func(other *appsv1.StatefulSet) bool { return other.Name == set.Name }), err
}

// BudgetsOf returns the PodDisruptionBudgets that select Pods with these labels.
func BudgetsOf(namespace string, labels map[string]string, c Cluster) ([]*policyv1.PodDisruptionBudget, bool, error) {
	return By(c, selectingBudgets, namespace, each(labels), func(b *policyv1.PodDisruptionBudget) bool {
		return statefulset.Selects(b.Spec.Selector, labels)
	})
}

// ownedSets and ownedClaims find StatefulSets and claims by the UIDs of their owners, and by "custom" if one is a custom resource.
var (
	ownedSets   = &Index{Kind: kinds.StatefulSet, Name: "owners", Of: ownersIn}
	ownedClaims = &Index{Kind: kinds.PersistentVolumeClaim, Name: "owners", Of: ownersIn}
)

const ofCustom = "custom"

func ownersIn(o kinds.Object) []string {
	var all []string
	for _, owner := range o.GetOwnerReferences() {
		if custom(owner) && !slices.Contains(all, ofCustom) {
			all = append(all, ofCustom)
		}
		all = append(all, string(owner.UID))
	}
	return all
}

// claimants finds claims by the names that their StatefulSets may have.
var claimants = &Index{Kind: kinds.PersistentVolumeClaim, Name: "claimants", Of: func(o kinds.Object) []string {
	name, _, _ := statefulset.CutOrdinal(o.GetName())
	return slices.Collect(SetNames(name))
}}

// ClaimsNamedFor returns the matching claims whose names end in the StatefulSet's name and an ordinal.
func ClaimsNamedFor(set *appsv1.StatefulSet, c Cluster, match func(*corev1.PersistentVolumeClaim) bool) ([]*corev1.PersistentVolumeClaim, bool, error) {
	return By(c, claimants, set.Namespace, []string{set.Name}, match)
}

func hasName[T kinds.Object](all []T, name string) bool {
	return slices.ContainsFunc(all, func(o T) bool { return o.GetName() == name })
}
