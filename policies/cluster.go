package policies

import (
	"errors"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ErrUnknown is what a Cluster answers where it cannot know: a set of files has no Pods. What is unknown never denies.
var ErrUnknown = errors.New("unknown")

// Cluster is what the rules may ask about the world around a change. One Cluster serves one change: whoever makes it
// binds the deadline of its reads.
//
// An object that is not there is an error for which apierrors.IsNotFound holds; one that cannot be known is ErrUnknown;
// any other error says that the read failed, and the change can then not be judged. What is returned is shared: it must
// not be changed.
type Cluster interface {
	Namespace(name string) (*corev1.Namespace, error)
	Service(namespace, name string) (*corev1.Service, error)
	StatefulSets(namespace string) ([]*appsv1.StatefulSet, error)
	Pods(namespace string, selector labels.Selector) ([]*corev1.Pod, error)
	Claims(namespace string) ([]*corev1.PersistentVolumeClaim, error)
	Budgets(namespace string) ([]*policyv1.PodDisruptionBudget, error)
	StatefulSet(namespace, name string) (*appsv1.StatefulSet, error)
	Claim(namespace, name string) (*corev1.PersistentVolumeClaim, error)
	// StorageClasses returns those that are known; with ErrUnknown where there may be more.
	StorageClasses() ([]*storagev1.StorageClass, error)
	// Node returns a node. One that is not there is NotFound, and its Pods are then on their way out; a set of files knows
	// no nodes.
	Node(name string) (*corev1.Node, error)
	// MayBypass tells whether the user who asks for the change has the verb bypass on the policy.
	MayBypass(policy string) (bool, error)
}

// Snapshot is a Cluster held in memory: the objects of a set of files, or of a test.
type Snapshot struct {
	// Objects are all the objects of the set.
	Objects []Object
	// Complete says that an object that is not in the set does not exist. Otherwise nobody knows.
	Complete bool
	// Bypass names the policies that the user may bypass.
	Bypass []string
}

var _ Cluster = Snapshot{}

// Namespace returns the namespace; one that a set of files does not hold is unknown, as its labels are.
func (s Snapshot) Namespace(name string) (*corev1.Namespace, error) {
	return find[*corev1.Namespace](s, "namespaces", "", name)
}

// Service returns the Service.
func (s Snapshot) Service(namespace, name string) (*corev1.Service, error) {
	return find[*corev1.Service](s, "services", namespace, name)
}

// StatefulSets returns the StatefulSets of a namespace.
func (s Snapshot) StatefulSets(namespace string) ([]*appsv1.StatefulSet, error) {
	return all[*appsv1.StatefulSet](s, namespace), nil
}

// Pods returns the Pods of a namespace that the selector selects. Only a complete set knows its Pods.
func (s Snapshot) Pods(namespace string, selector labels.Selector) ([]*corev1.Pod, error) {
	if !s.Complete {
		return nil, ErrUnknown
	}
	var pods []*corev1.Pod
	for _, pod := range all[*corev1.Pod](s, namespace) {
		if selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

// Claims returns the claims of a namespace. Only a complete set knows its claims.
func (s Snapshot) Claims(namespace string) ([]*corev1.PersistentVolumeClaim, error) {
	if !s.Complete {
		return nil, ErrUnknown
	}
	return all[*corev1.PersistentVolumeClaim](s, namespace), nil
}

// Budgets returns the PodDisruptionBudgets of a namespace.
func (s Snapshot) Budgets(namespace string) ([]*policyv1.PodDisruptionBudget, error) {
	return all[*policyv1.PodDisruptionBudget](s, namespace), nil
}

// StatefulSet returns the StatefulSet.
func (s Snapshot) StatefulSet(namespace, name string) (*appsv1.StatefulSet, error) {
	return find[*appsv1.StatefulSet](s, "statefulsets", namespace, name)
}

// Claim returns the claim.
func (s Snapshot) Claim(namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return find[*corev1.PersistentVolumeClaim](s, "persistentvolumeclaims", namespace, name)
}

// StorageClasses returns the classes of the set. Only a complete set knows that there are no others.
func (s Snapshot) StorageClasses() ([]*storagev1.StorageClass, error) {
	if !s.Complete {
		return all[*storagev1.StorageClass](s, ""), ErrUnknown
	}
	return all[*storagev1.StorageClass](s, ""), nil
}

// Node returns the node.
func (s Snapshot) Node(name string) (*corev1.Node, error) {
	return find[*corev1.Node](s, "nodes", "", name)
}

// MayBypass tells whether the policy is among those the user may bypass.
func (s Snapshot) MayBypass(policy string) (bool, error) {
	for _, name := range s.Bypass {
		if name == policy {
			return true, nil
		}
	}
	return false, nil
}

func all[T Object](s Snapshot, namespace string) []T {
	var found []T
	for _, o := range s.Objects {
		if typed, ok := o.(T); ok && o.GetNamespace() == namespace {
			found = append(found, typed)
		}
	}
	return found
}

func find[T Object](s Snapshot, resource, namespace, name string) (T, error) {
	for _, o := range all[T](s, namespace) {
		if o.GetName() == name {
			return o, nil
		}
	}
	var none T
	if !s.Complete {
		return none, ErrUnknown
	}
	return none, apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
}
