package policies

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// Cluster is what the rules may ask about what is around a change. One Cluster serves one change: whoever makes it binds
// the deadline of its reads. What is returned is shared and must not be changed.
//
// An error says that a read failed, so that the change cannot be judged. That something cannot be known (a set of files has no
// Pods, an audit may not read Secrets) is no error but known, false. What is unknown never denies.
type Cluster interface {
	// Get returns the object of that name, nil where there is none.
	Get(kind *kinds.Kind, namespace, name string) (o kinds.Object, known bool, err error)
	// List returns the objects of a namespace, or of all where it is empty, that the selector selects. Where known is false there
	// may be others.
	List(kind *kinds.Kind, namespace string, selector labels.Selector) (all []kinds.Object, known bool, err error)
	Asker
}

// Asker is what can be known of the user who asks for the change, and of owners whose kinds are not in the table.
type Asker interface {
	// MayBypass tells whether the user has the verb bypass on the policy in the namespace.
	MayBypass(policy, namespace string) (may, known bool, err error)
	// MayOperate tells whether the owner of an object of the namespace exists, and the user may update its status.
	MayOperate(namespace string, owner metav1.OwnerReference) (may, known bool, err error)
	// MayAnything tells whether the user may do anything to everything, as a cluster's administrators and its deployment tools do.
	MayAnything() (may, known bool, err error)
	// Owner returns the metadata of an owner of any kind, nil where there is none of that UID. It is unknown where the cluster does
	// not serve the kind.
	Owner(namespace string, owner metav1.OwnerReference) (o *metav1.PartialObjectMetadata, known bool, err error)
}

// Nobody is the Asker where nobody asks, and no API server answers.
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

// Get returns the object of the Go type T and that name, nil where there is none.
func Get[T kinds.Object](c Cluster, namespace, name string) (found T, known bool, err error) {
	o, known, err := c.Get(kinds.For[T](), namespace, name)
	found, _ = o.(T)
	return found, known, err
}

// List returns the objects of the Go type T in a namespace, "" for kinds that have none.
func List[T kinds.Object](c Cluster, namespace string) ([]T, bool, error) {
	return Select[T](c, namespace, labels.Everything())
}

// Select returns the objects of the Go type T in a namespace that the selector selects.
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

// Paged is a Cluster that need not read all of a list.
type Paged interface {
	// Walk calls visit with the objects of a namespace, or of none, until it has had enough.
	Walk(kind *kinds.Kind, namespace string, visit func(kinds.Object) (enough bool)) (known bool, err error)
}

// Walk calls visit with the objects of the Go type T in a namespace, "" for kinds that have none, until it has had enough.
func Walk[T kinds.Object](c Cluster, namespace string, visit func(T) (enough bool)) (known bool, err error) {
	return walk(c, kinds.For[T](), namespace, func(o kinds.Object) bool { return visit(o.(T)) })
}

// walk looks through the whole list where the Cluster is not Paged.
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

// Snapshot is a Cluster held in memory: the objects of a test or of a moment.
type Snapshot struct {
	// Objects are all the objects of the set.
	Objects []kinds.Object
	// Complete says that an object that is not in the set does not exist. Otherwise nobody knows.
	Complete bool
	// Bypass names the policies that the user may bypass.
	Bypass []string
	// Owners are the custom resources; Operates are the kinds of which the user may update the status.
	Owners   []metav1.PartialObjectMetadata
	Operates []string
	// Admin says that the user may do anything.
	Admin bool
	// Unserved are kinds of owners that the cluster does not serve, or that nobody may read.
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

// List returns the objects that the selector selects.
func (s Snapshot) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	var all []kinds.Object
	for _, o := range s.Objects {
		if kinds.Of(o) == kind && (namespace == "" || o.GetNamespace() == namespace) && selector.Matches(labels.Set(o.GetLabels())) {
			all = append(all, o)
		}
	}
	return all, s.Complete, nil
}

// MayBypass tells whether the policy is among those the user may bypass.
func (s Snapshot) MayBypass(policy, _ string) (bool, bool, error) {
	return slices.Contains(s.Bypass, policy), true, nil
}

// MayOperate tells whether the owner is among Owners and its kind among Operates.
func (s Snapshot) MayOperate(namespace string, owner metav1.OwnerReference) (bool, bool, error) {
	o, known, err := s.Owner(namespace, owner)
	return o != nil && slices.Contains(s.Operates, owner.Kind), known, err
}

// MayAnything tells whether the user is said to.
func (s Snapshot) MayAnything() (bool, bool, error) { return s.Admin, true, nil }

// Owner returns the owner of that UID.
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
