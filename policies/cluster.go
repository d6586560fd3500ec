package policies

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// Cluster answers the rules' questions about the objects around a change. One Cluster serves one change, and its maker bounds the
// time of its reads. The objects it returns are shared: do not change them.
//
// An error means that a read failed, so the change cannot be judged. Something that cannot be known is no error but known=false:
// files have no Pods, and an audit may not read Secrets. What is unknown never denies.
type Cluster interface {
	// Get returns the object, or nil if it does not exist.
	Get(kind *kinds.Kind, namespace, name string) (o kinds.Object, known bool, err error)
	// List returns the selected objects of a namespace, or of all namespaces if it is empty. If known is false, there may be more.
	List(kind *kinds.Kind, namespace string, selector labels.Selector) (all []kinds.Object, known bool, err error)
	Asker
}

// Asker answers questions about the user who makes the request, and about owners whose kinds are not in the table.
type Asker interface {
	// MayBypass reports whether the user has the verb bypass for the policy in the namespace.
	MayBypass(policy, namespace string) (may, known bool, err error)
	// MayOperate reports whether the owner exists and the user can update its status or finalizers.
	MayOperate(namespace string, owner metav1.OwnerReference) (may, known bool, err error)
	// MayAnything reports whether the user can do anything to every object, as cluster administrators and deployment tools can.
	MayAnything() (may, known bool, err error)
	// Owner returns the metadata of an owner of any kind, or nil if none has that UID. It is unknown if the cluster does not serve
	// the kind.
	Owner(namespace string, owner metav1.OwnerReference) (o *metav1.PartialObjectMetadata, known bool, err error)
}

// Nobody is the Asker without a user and an API server.
type Nobody struct{}

// MayBypass is unknown.
func (Nobody) MayBypass(string, string) (bool, bool, error) { return false, false, nil }

// MayOperate is unknown.
func (Nobody) MayOperate(string, metav1.OwnerReference) (bool, bool, error) { return false, false, nil }

// MayAnything is unknown.
func (Nobody) MayAnything() (bool, bool, error) { return false, false, nil }

// Owner is unknown.
func (Nobody) Owner(string, metav1.OwnerReference) (*metav1.PartialObjectMetadata, bool, error) {
	return nil, false, nil
}

// Get returns the object of type T with this name, or nil if it does not exist.
func Get[T kinds.Object](c Cluster, namespace, name string) (found T, known bool, err error) {
	o, known, err := c.Get(kinds.For[T](), namespace, name)
	found, _ = o.(T)
	return found, known, err
}

// List returns the objects of type T in a namespace, "" for cluster-scoped kinds.
func List[T kinds.Object](c Cluster, namespace string) ([]T, bool, error) {
	return Select[T](c, namespace, labels.Everything())
}

// Select returns the selected objects of type T in a namespace.
func Select[T kinds.Object](c Cluster, namespace string, selector labels.Selector) (found []T, known bool, err error) {
	all, known, err := c.List(kinds.For[T](), namespace, selector)
	if len(all) == 0 || err != nil {
		return nil, known, err
	}
	found = make([]T, 0, len(all))
	for _, o := range all {
		found = append(found, o.(T))
	}
	return found, known, nil
}

// Paged is a Cluster that can read part of a list.
type Paged interface {
	// Walk calls visit with the objects of a namespace, "" for cluster-scoped kinds, until visit returns true.
	Walk(kind *kinds.Kind, namespace string, visit func(kinds.Object) (enough bool)) (known bool, err error)
}

// Walk calls visit with the objects of type T in a namespace, "" for cluster-scoped kinds, until visit returns true.
func Walk[T kinds.Object](c Cluster, namespace string, visit func(T) (enough bool)) (known bool, err error) {
	return walk(c, kinds.For[T](), namespace, func(o kinds.Object) bool { return visit(o.(T)) })
}

// walk reads the whole list if the Cluster is not Paged.
func walk(c Cluster, kind *kinds.Kind, namespace string, visit func(kinds.Object) (enough bool)) (known bool, err error) {
	if paged, ok := c.(Paged); ok {
		return paged.Walk(kind, namespace, visit)
	}
	all, known, err := c.List(kind, namespace, labels.Everything())
	for _, o := range all {
		if visit(o) {
			break
		}
	}
	return known, err
}

// Snapshot is a Cluster in memory, for tests and for a moment of a live cluster.
type Snapshot struct {
	// Objects are all objects of the snapshot.
	Objects []kinds.Object
	// Complete means that an object that is not in the snapshot does not exist. Otherwise that is unknown.
	Complete bool
	// Bypass names the policies that the user can bypass.
	Bypass []string
	// Owners are the custom resources; Operates are the kinds whose status or finalizers the user can update.
	Owners   []metav1.PartialObjectMetadata
	Operates []string
	// Admin means that the user can do anything.
	Admin bool
	// Unserved are kinds of owners that the cluster does not serve, or that Mooring cannot read.
	Unserved []string
}

// Get returns the object of that name.
func (s Snapshot) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	for _, o := range s.Objects {
		if kinds.Of(o) == kind && o.GetNamespace() == namespace && o.GetName() == name {
			return o, true, nil
		}
	}
	return nil, s.Complete, nil
}

// List returns the selected objects.
func (s Snapshot) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	var all []kinds.Object
	for _, o := range s.Objects {
		if kinds.Of(o) == kind && (namespace == "" || o.GetNamespace() == namespace) && selector.Matches(labels.Set(o.GetLabels())) {
			all = append(all, o)
		}
	}
	return all, s.Complete, nil
}

// MayBypass reports whether Bypass has the policy.
func (s Snapshot) MayBypass(policy, _ string) (bool, bool, error) {
	return slices.Contains(s.Bypass, policy), true, nil
}

// MayOperate reports whether Owners has the owner and Operates its kind.
func (s Snapshot) MayOperate(namespace string, owner metav1.OwnerReference) (bool, bool, error) {
	o, known, err := s.Owner(namespace, owner)
	return o != nil && slices.Contains(s.Operates, owner.Kind), known, err
}

// MayAnything returns Admin.
func (s Snapshot) MayAnything() (bool, bool, error) { return s.Admin, true, nil }

// Owner returns the owner with this UID.
func (s Snapshot) Owner(_ string, owner metav1.OwnerReference) (*metav1.PartialObjectMetadata, bool, error) {
	for i := range s.Owners {
		if s.Owners[i].UID == owner.UID {
			return &s.Owners[i], true, nil
		}
	}
	for _, o := range s.Objects {
		if o.GetUID() == owner.UID {
			return meta.AsPartialObjectMetadata(o), true, nil
		}
	}
	return nil, s.Complete && !slices.Contains(s.Unserved, owner.Kind), nil
}
