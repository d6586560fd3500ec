package policies

import (
	"errors"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
)

// Owned are the StatefulSets and claims that the garbage collector deletes after a custom resource, or after all custom resources
// of a CustomResourceDefinition.
type Owned struct {
	Sets []*appsv1.StatefulSet
	// Claims are those with their own owners, and those that are deleted with one of the Sets.
	Claims []*corev1.PersistentVolumeClaim
}

// OwnedBy returns what is deleted with the owner, over any number of owners between them, as far as Mooring can read these. For a
// cluster-scoped owner it looks in all judged namespaces.
func OwnedBy(owner kinds.Object, c Cluster) (Owned, error) {
	l := &lineage{Cluster: c, owner: owner, of: kindOf(owner), goes: map[types.UID]bool{}}
	namespace := owner.GetNamespace()
	sets, _, err := By(c, ownedSets, namespace, []string{ofCustom}, func(set *appsv1.StatefulSet) bool {
		l.goes[set.UID] = l.takes(set)
		return l.goes[set.UID]
	})
	if err := errors.Join(err, l.err); err != nil {
		return Owned{}, err
	}
	takes := func(claim *corev1.PersistentVolumeClaim) bool { return l.takes(claim) }
	if namespace == "" {
		claims, _, err := List[*corev1.PersistentVolumeClaim](c, namespace)
		claims = slices.DeleteFunc(slices.Clone(claims), func(claim *corev1.PersistentVolumeClaim) bool {
			return !takes(claim) && !slices.ContainsFunc(sets, func(set *appsv1.StatefulSet) bool { return statefulset.Takes(set, claim) })
		})
		return Owned{sets, claims}, errors.Join(err, l.err)
	}
	claims, _, err := By(c, ownedClaims, namespace, []string{ofCustom}, takes)
	if err := errors.Join(err, l.err); err != nil {
		return Owned{}, err
	}
	for _, set := range sets {
		along, _, err := ClaimsTakenBy(set, c)
		if err != nil {
			return Owned{}, err
		}
		for _, claim := range along {
			if !hasName(claims, claim.Name) {
				claims = append(claims, claim)
			}
		}
	}
	return Owned{sets, claims}, nil
}

// Namespaces returns the namespaces that lose something.
func (o Owned) Namespaces() []string {
	var all []string
	for _, set := range o.Sets {
		all = append(all, set.Namespace)
	}
	for _, claim := range o.Claims {
		all = append(all, claim.Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// kindOf returns the kind of the deleted custom resources: the owner's own, or the one that it defines.
func kindOf(owner kinds.Object) schema.GroupKind {
	if definition, ok := owner.(*apiextensionsv1.CustomResourceDefinition); ok {
		return schema.GroupKind{Group: definition.Spec.Group, Kind: definition.Spec.Names.Kind}
	}
	return owner.GetObjectKind().GroupVersionKind().GroupKind()
}

// lineage follows owner references up to a deleted owner.
type lineage struct {
	Cluster
	owner kinds.Object
	of    schema.GroupKind
	// goes has the results for the owners so far, err the first failed read.
	goes map[types.UID]bool
	err  error
}

// takes reports whether the object is deleted too.
func (l *lineage) takes(o kinds.Object) bool {
	if l.err != nil || l.owner.GetNamespace() == "" && slices.Contains(ExcludedNamespaces(), o.GetNamespace()) {
		return false
	}
	var ok bool
	ok, l.err = l.allGo(o.GetNamespace(), o.GetOwnerReferences(), 0)
	return ok
}

// allGo reports whether all owners of an object are deleted: the garbage collector keeps an object while one is left.
func (l *lineage) allGo(namespace string, owners []metav1.OwnerReference, depth int) (bool, error) {
	for _, ref := range owners {
		if ok, err := l.owns(namespace, ref, depth); !ok || err != nil {
			return false, err
		}
	}
	return len(owners) > 0, nil
}

func (l *lineage) owns(namespace string, ref metav1.OwnerReference, depth int) (bool, error) {
	ofKind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind() == l.of
	if ofKind && (kinds.Of(l.owner) == kinds.CustomResourceDefinition || ref.UID == l.owner.GetUID()) {
		return true, nil
	}
	if goes, ok := l.goes[ref.UID]; ok || !custom(ref) || depth == maxOwners {
		return goes, nil
	}
	owners, _, err := Above(l.Cluster, namespace, ref)
	if err != nil {
		return false, err
	}
	l.goes[ref.UID], err = l.allGo(namespace, owners, depth+1)
	return l.goes[ref.UID], err
}
