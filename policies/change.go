// Package policies is the heart of Mooring: what a change to a stateful workload may do, and why not. It is pure: no
// HTTP, no files, no client. Admission, audits and manifest checks all come through here.
//
// engine.go is the place to start reading. The engine is handed its rules, which are in package rules, a file each.
package policies

import (
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Change is one thing somebody wants to do to one object.
type Change struct {
	// Operation is Create, Update or Delete.
	Operation admissionv1.Operation
	// Scale tells that an update came through the scale subresource. Old and New are then the StatefulSet, as it is and
	// with the replicas asked for; or of a custom resource what a Scale says of it, which has the number as spec.replicas.
	Scale bool
	// Old is the object as stored, nil on Create; New is the object as asked for, nil on Delete.
	Old, New kinds.Object
	// InFiles tells that nobody asks an API server: the change is what lies between two sets of files.
	InFiles bool
	// Unknown and UnknownBefore are the paths of fields that Kubernetes does not know, of New and of Old. Only a reader of files sees
	// them: the API server drops them before it asks anybody.
	Unknown, UnknownBefore []string
	// Replacement is, of a StatefulSet that leaves the files, the one that comes in its place under another name.
	Replacement *appsv1.StatefulSet
	// User is who asks.
	User authenticationv1.UserInfo
	// DryRun tells that nothing will be stored.
	DryRun bool
	// Eviction tells that a delete came through the eviction subresource of a Pod, and keeps the PodDisruptionBudgets already.
	Eviction bool
	// DeleteOptions are those of a delete, as the API server understood them; nil where they are not known.
	DeleteOptions *metav1.DeleteOptions
	// Owners are the fields of custom resources that policies name. The engine fills them in.
	Owners []v1alpha1.Owner
	// Time of the request, by which a bypass expires.
	Time time.Time
}

// Object is the object the change is about: as it will be, or as it was where it goes.
func (c Change) Object() kinds.Object {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

// NewOwners returns the owners that an object has and had not before.
func (c Change) NewOwners() []metav1.OwnerReference {
	if c.New == nil {
		return nil
	}
	owners := slices.Clone(c.New.GetOwnerReferences())
	if c.Old != nil {
		owners = slices.DeleteFunc(owners, func(owner metav1.OwnerReference) bool {
			return slices.ContainsFunc(c.Old.GetOwnerReferences(), func(before metav1.OwnerReference) bool { return before.UID == owner.UID })
		})
	}
	return owners
}

// Destructive tells whether the change takes something away that may be in use and does not come back: deletes of what is not
// replaceable, updates that take ordinals from a StatefulSet or may have its operator do so, and those that add an owner, without
// which the object goes. Such a change is worth a read past the cache, and is refused where nothing can be read.
func (c Change) Destructive() bool {
	switch {
	case c.Eviction, c.Operation == admissionv1.Delete && kinds.Of(c.Old).Replaceable:
		return false
	case c.Operation == admissionv1.Delete, kinds.Of(c.Object()) == kinds.CustomResource, c.Operation == admissionv1.Update && len(c.NewOwners()) > 0:
		return true
	}
	older, newer, ok := c.StatefulSets()
	return ok && statefulset.OrdinalsOf(older).Minus(statefulset.OrdinalsOf(newer)).Count() > 0
}

// MeetsPods tells whether a new StatefulSet meets Pods of its names, which it may adopt and remove. The cluster need not be the
// latest: it may still know them by the owner they had.
func (c Change) MeetsPods(cluster Cluster) (bool, error) {
	set, ok := c.New.(*appsv1.StatefulSet)
	if !ok || c.Operation != admissionv1.Create {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return false, nil
	}
	pods, _, err := Select[*corev1.Pod](cluster, set.Namespace, selector)
	return slices.ContainsFunc(pods, func(pod *corev1.Pod) bool {
		_, ok := statefulset.OrdinalIn(pod.Name, set.Name)
		return ok
	}), err
}

// StatefulSets returns both sides of an update of a StatefulSet, and whether the change is one.
func (c Change) StatefulSets() (older, newer *appsv1.StatefulSet, ok bool) {
	if c.Operation != admissionv1.Update {
		return nil, nil, false
	}
	older, ok1 := c.Old.(*appsv1.StatefulSet)
	newer, ok2 := c.New.(*appsv1.StatefulSet)
	return older, newer, ok1 && ok2
}

// controllers are the users under which the control plane deletes what somebody asked to have deleted before. That request
// was the one to refuse; refusing theirs would only wedge the cluster. So would it where a taint drives Pods from a node, or the
// scheduler makes room. One of them is all controllers, where kube-controller-manager gives them no accounts of their own.
var controllers = []string{
	"system:serviceaccount:kube-system:attachdetach-controller",
	"system:serviceaccount:kube-system:generic-garbage-collector",
	"system:serviceaccount:kube-system:namespace-controller",
	"system:serviceaccount:kube-system:node-controller",
	"system:serviceaccount:kube-system:pod-garbage-collector",
	"system:serviceaccount:kube-system:pvc-protection-controller",
	"system:serviceaccount:kube-system:statefulset-controller",
	"system:serviceaccount:kube-system:taint-eviction-controller",
	"system:kube-controller-manager",
	"system:kube-scheduler",
}

// Controllers returns those users.
func Controllers() []string { return slices.Clone(controllers) }

// ExcludedNamespaces returns the namespaces that a cluster needs to come up, besides Mooring's own. Nothing in them is judged.
func ExcludedNamespaces() []string {
	return []string{metav1.NamespaceSystem, corev1.NamespaceNodeLease}
}

// ByController tells whether a part of the control plane asks.
func (c Change) ByController() bool { return slices.Contains(controllers, c.User.Username) }

// ByNode tells whether a node's own agent asks, which knows what has stopped there.
func (c Change) ByNode() bool { return strings.HasPrefix(c.User.Username, "system:node:") }

// StatefulSetOf returns the StatefulSet that controls the Pod, nil where there is none.
func StatefulSetOf(pod *corev1.Pod, cluster Cluster) (*appsv1.StatefulSet, error) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.APIVersion != appsv1.SchemeGroupVersion.String() || owner.Kind != kinds.StatefulSet.Kind {
		return nil, nil
	}
	set, _, err := Get[*appsv1.StatefulSet](cluster, pod.Namespace, owner.Name)
	if set == nil || set.UID != owner.UID {
		return nil, err
	}
	return set, err
}

// Decided tells whether a change only carries out what was decided before: a controller asks for it, or what it is about is on
// its way out.
func (c Change) Decided(cluster Cluster) (bool, error) {
	if c.ByController() {
		return true, nil
	}
	goes, err := finishing(c, cluster)
	return goes != "", err
}

// Orphans tells whether a delete leaves what the object owns behind. The API server heeds the old option before the new,
// and the object's finalizer where there is neither.
func (c Change) Orphans() bool {
	options := ptr.Deref(c.DeleteOptions, metav1.DeleteOptions{})
	switch {
	//lint:ignore SA1019 clients still send it, and the API server heeds it
	case options.OrphanDependents != nil:
		//lint:ignore SA1019 as above
		return *options.OrphanDependents
	case options.PropagationPolicy != nil:
		return *options.PropagationPolicy == metav1.DeletePropagationOrphan
	}
	return slices.Contains(c.Old.GetFinalizers(), metav1.FinalizerOrphanDependents)
}
