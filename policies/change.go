// Package policies decides what a change to a stateful workload may do, and says why not. It is pure: no HTTP, no files, no client.
// Admission, audits and manifest checks all use it.
//
// Start reading in engine.go. The caller gives the engine its rules, which are in package rules, one file each.
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

// Change is one change to one object.
type Change struct {
	// Operation is Create, Update or Delete.
	Operation admissionv1.Operation
	// Scale means that an update came through the scale subresource. Old and New are then the StatefulSet as it is, and with the
	// requested replicas. For a custom resource they hold what its Scale says, with the number as spec.replicas.
	Scale bool
	// Old is the stored object, nil on Create; New is the requested object, nil on Delete.
	Old, New kinds.Object
	// InFiles means that the change is the difference between two sets of files. No one asks an API server.
	InFiles bool
	// Unknown and UnknownBefore are the paths of the fields in New and Old that Kubernetes does not know. Only files show them: the
	// API server drops unknown fields before admission.
	Unknown, UnknownBefore []string
	// Replacement is the StatefulSet that replaces one removed from the files, under another name.
	Replacement *appsv1.StatefulSet
	// User makes the request.
	User authenticationv1.UserInfo
	// DryRun means that nothing will be stored.
	DryRun bool
	// Eviction means that the delete comes from a Pod's eviction subresource, which already respects PodDisruptionBudgets.
	Eviction bool
	// DeleteOptions are the options of a delete as the API server understood them, or nil if unknown.
	DeleteOptions *metav1.DeleteOptions
	// Owners are the custom resources' fields that policies name. The engine fills them in.
	Owners []v1alpha1.Owner
	// Time is the time of the request. It decides whether a bypass has expired.
	Time time.Time
}

// Object returns the object after the change, or before it for a delete.
func (c Change) Object() kinds.Object {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

// NewOwners returns the owner references that the change adds.
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

// Destructive reports whether the change removes something that may be in use and does not come back: a delete of an object that is
// not replaceable, an update that removes ordinals from a StatefulSet or can make its operator do so, or a new owner, with which
// the object is deleted. Such a change is worth a live read, and is refused if that read fails.
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

// MeetsPods reports whether a new StatefulSet finds existing Pods with its names, which it may adopt and remove. A stale cluster
// will do: it may still show the Pods' former owner.
func (c Change) MeetsPods(cluster Cluster) (bool, error) {
	set, ok := c.New.(*appsv1.StatefulSet)
	if !ok || c.Operation != admissionv1.Create {
		return false, nil
	}
	pods, _, err := podsNamedFor(set, cluster)
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

// controllers are the users with which the control plane carries out an earlier delete. That delete was the request to refuse;
// refusing the controllers' requests blocks the control plane, as it would for Pods removed by a taint or preempted by the
// scheduler. One of them stands for all controllers, if kube-controller-manager runs without their service accounts.
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

// ExcludedNamespaces returns the namespaces that a cluster needs to start, without Mooring's own. Mooring judges nothing in them.
func ExcludedNamespaces() []string {
	return []string{metav1.NamespaceSystem, corev1.NamespaceNodeLease}
}

// ByController reports whether the control plane makes the request.
func (c Change) ByController() bool { return slices.Contains(controllers, c.User.Username) }

// ByNode reports whether a kubelet makes the request. It knows what has stopped on its node.
func (c Change) ByNode() bool { return strings.HasPrefix(c.User.Username, "system:node:") }

// StatefulSetOf returns the StatefulSet that controls the Pod, or nil if there is none.
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

// Decided reports whether the change only carries out an earlier decision: a controller makes it, or its object is already being
// deleted.
func (c Change) Decided(cluster Cluster) (bool, error) {
	if c.ByController() {
		return true, nil
	}
	goes, err := finishing(c, cluster)
	return goes != "", err
}

// Orphans reports whether a delete leaves the object's dependents in place. The API server prefers the deprecated option, then the
// new one, then the object's finalizers.
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
