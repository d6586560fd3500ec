package policies

import (
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
)

// Cached is a Cluster that a cache stands beside, which knows where to look.
type Cached interface {
	// Names returns the names of the cached objects of a namespace that match. Of Pods the cache has the members of StatefulSets, and
	// of these the claims that they use under names that do not end in their own. Where ok is false there is no such cache.
	Names(kind *kinds.Kind, namespace string, match func(kinds.Object) bool) (names []string, ok bool)
}

// Lookup returns the objects of the Go type T in a namespace that match, in the order of their names. A cache says where to look, where
// there is one, and the Cluster what is there.
func Lookup[T kinds.Object](c Cluster, namespace string, match func(T) bool) (found []T, known bool, err error) {
	return lookup(c, namespace, match, math.MaxInt)
}

// Any returns one of those that Lookup does, where there are any.
func Any[T kinds.Object](c Cluster, namespace string, match func(T) bool) (found T, ok bool, err error) {
	all, _, err := lookup(c, namespace, match, 1)
	if len(all) == 0 {
		return found, false, err
	}
	return all[0], true, err
}

// lookup is Lookup for so many at most.
func lookup[T kinds.Object](c Cluster, namespace string, match func(T) bool, most int) (found []T, known bool, err error) {
	names, ok := namesIn(c, kinds.For[T](), namespace, func(o kinds.Object) bool { return match(o.(T)) })
	if !ok {
		all, known, err := List[T](c, namespace)
		return slices.DeleteFunc(slices.Clone(all), func(o T) bool { return !match(o) }), known, err
	}
	slices.Sort(names)
	for _, name := range names {
		o, _, err := c.Get(kinds.For[T](), namespace, name)
		if err != nil {
			return nil, false, err
		}
		if o, ok := o.(T); ok && match(o) {
			found = append(found, o)
		}
		if len(found) == most {
			break
		}
	}
	return found, true, nil
}

func namesIn(c Cluster, kind *kinds.Kind, namespace string, match func(kinds.Object) bool) ([]string, bool) {
	cached, ok := c.(Cached)
	if !ok || namespace == "" {
		return nil, false
	}
	return cached.Names(kind, namespace, match)
}

// mostOverlapping is how many are looked at of those that Overlapping finds.
const mostOverlapping = 8

// Overlapping returns other StatefulSets with Pods that select this one's Pods, or whose Pods it selects.
func Overlapping(set *appsv1.StatefulSet, c Cluster) ([]*appsv1.StatefulSet, error) {
	found, _, err := lookup(c, set.Namespace, func(other *appsv1.StatefulSet) bool {
		return other.Name != set.Name && other.DeletionTimestamp == nil && statefulset.OrdinalsOf(other).Count() > 0 &&
			(statefulset.Selects(set.Spec.Selector, other.Spec.Template.Labels) || statefulset.Selects(other.Spec.Selector, set.Spec.Template.Labels))
	}, mostOverlapping)
	return found, err
}

// BudgetsOf returns the PodDisruptionBudgets that select Pods with these labels.
func BudgetsOf(namespace string, labels map[string]string, c Cluster) ([]*policyv1.PodDisruptionBudget, bool, error) {
	return Lookup(c, namespace, func(b *policyv1.PodDisruptionBudget) bool { return statefulset.Selects(b.Spec.Selector, labels) })
}
