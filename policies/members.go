package policies

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
)

// members finds Pods by the names of their StatefulSets.
var members = &Index{Kind: kinds.Pod, Name: "statefulset", Of: func(o kinds.Object) []string {
	set, _, _ := statefulset.CutOrdinal(o.GetName())
	return []string{set}
}}

// MembersOf returns the StatefulSet's Pods by ordinal, and orphaned Pods with its names.
func MembersOf(set *appsv1.StatefulSet, c Cluster) (map[int64]*corev1.Pod, bool, error) {
	pods, known, err := podsNamedFor(set, c)
	return statefulset.Members(set, pods), known, err
}

// podsNamedFor returns the Pods that the StatefulSet selects, if few with names that it gives. It reads these by name, because the API
// server looks through all Pods of a namespace to select some.
func podsNamedFor(set *appsv1.StatefulSet, c Cluster) (pods []*corev1.Pod, known bool, err error) {
	cached, ok := seen(c, members, set.Namespace, []string{set.Name})
	ordinals := statefulset.OrdinalsOf(set)
	if !ok || int64(len(cached))+ordinals.Count() > mostNames {
		selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
		if err != nil {
			// The API server refuses such a selector.
			return nil, true, nil
		}
		return Select[*corev1.Pod](c, set.Namespace, selector)
	}
	names := sets.New[string]()
	for _, pod := range cached {
		names.Insert(pod.GetName())
	}
	// The cache can miss Pods that were created a moment ago. A StatefulSet that its controller has not seen can only adopt older ones.
	if set.Status.ObservedGeneration > 0 {
		for n := range (statefulset.Ranges{ordinals}).All() {
			names.Insert(statefulset.PodName(set, n))
		}
	}
	for name := range names {
		pod, _, err := Get[*corev1.Pod](c, set.Namespace, name)
		if err != nil {
			return nil, false, err
		}
		if pod != nil && statefulset.Selects(set.Spec.Selector, pod.Labels) {
			pods = append(pods, pod)
		}
	}
	return pods, true, nil
}

// PodNamed returns the Pod with this name, or nil. If the cache shows that no StatefulSet made one, it does not read it.
func PodNamed(namespace, name string, c Cluster) (*corev1.Pod, error) {
	set, _, _ := statefulset.CutOrdinal(name)
	cached, ok := seen(c, members, namespace, []string{set})
	if ok && !slices.ContainsFunc(cached, func(o kinds.Object) bool { return o.GetName() == name }) {
		return nil, nil
	}
	pod, _, err := Get[*corev1.Pod](c, namespace, name)
	return pod, err
}

// users finds the Pods of StatefulSets by claims that they use under a name that is not made of the Pod's own.
var users = &Index{Kind: kinds.Pod, Name: "claims", Of: func(o kinds.Object) []string {
	var claims []string
	for _, v := range o.(*corev1.Pod).Spec.Volumes {
		if v.PersistentVolumeClaim != nil && !strings.HasSuffix(v.PersistentVolumeClaim.ClaimName, "-"+o.GetName()) {
			claims = append(claims, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return claims
}}

// MemberOn returns the Pod of a StatefulSet that uses the claim, or nil.
func MemberOn(claim *corev1.PersistentVolumeClaim, c Cluster) (*corev1.Pod, error) {
	uses := func(pod *corev1.Pod) bool {
		return pod.Labels[appsv1.StatefulSetPodNameLabel] != "" && statefulset.Uses(pod, claim)
	}
	if name, n, ok := statefulset.CutOrdinal(claim.Name); ok {
		// The claim's name contains the Pod's, as it contains the StatefulSet's.
		for set := range SetNames(name) {
			pod, _, err := Get[*corev1.Pod](c, claim.Namespace, fmt.Sprintf("%s-%d", set, n))
			if err != nil {
				return nil, err
			}
			if pod != nil && uses(pod) {
				return pod, nil
			}
		}
	}
	pods, _, err := by(c, users, claim.Namespace, []string{claim.Name}, uses, 1)
	if len(pods) == 0 || err != nil {
		return nil, err
	}
	return pods[0], nil
}

// PodsUnder returns the Pods that the budget selects. If it expects no more Pods than it selects of these members, it selects no others.
func PodsUnder(budget *policyv1.PodDisruptionBudget, members map[int64]*corev1.Pod, c Cluster) (pods []*corev1.Pod, known bool, err error) {
	for _, pod := range members {
		if statefulset.Selects(budget.Spec.Selector, pod.Labels) {
			pods = append(pods, pod)
		}
	}
	if len(pods) > 0 && int(budget.Status.ExpectedPods) == len(pods) && budget.Status.ObservedGeneration == budget.Generation {
		return pods, true, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil {
		return nil, false, err
	}
	return Select[*corev1.Pod](c, budget.Namespace, selector)
}

// Nodes is a Cluster that finds Pods by their node.
type Nodes interface {
	PodsOn(node string) ([]kinds.Object, error)
}

// MembersOn returns the Pods of StatefulSets on the node that have not finished.
func MembersOn(node string, c Cluster) ([]*corev1.Pod, error) {
	all, err := podsOn(node, c)
	var found []*corev1.Pod
	for _, o := range all {
		pod := o.(*corev1.Pod)
		owner := metav1.GetControllerOf(pod)
		if pod.Spec.NodeName == node && owner != nil && owner.Kind == kinds.StatefulSet.Kind && !statefulset.Finished(pod) {
			found = append(found, pod)
		}
	}
	return found, err
}

// podsOn lists all Pods if the Cluster is not one of Nodes.
func podsOn(node string, c Cluster) ([]kinds.Object, error) {
	if nodes, ok := c.(Nodes); ok {
		return nodes.PodsOn(node)
	}
	all, _, err := c.List(kinds.Pod, "", labels.Everything())
	return all, err
}
