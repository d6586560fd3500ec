package audit

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
)

// recordedKinds are the kinds that rules judge or read, by the resource under which a log names them.
var recordedKinds = func() map[schema.GroupResource]schema.GroupVersionKind {
	kinds := map[schema.GroupResource]schema.GroupVersionKind{}
	for _, o := range []policies.Object{
		&appsv1.StatefulSet{}, &autoscalingv2.HorizontalPodAutoscaler{}, &policyv1.PodDisruptionBudget{}, &storagev1.StorageClass{},
		&corev1.Namespace{}, &corev1.Node{}, &corev1.PersistentVolume{}, &corev1.PersistentVolumeClaim{}, &corev1.Pod{}, &corev1.Service{},
	} {
		gvks, _, err := clientgoscheme.Scheme.ObjectKinds(o)
		if err != nil {
			panic(err)
		}
		plural, _ := meta.UnsafeGuessKindToResource(gvks[0])
		kinds[plural.GroupResource()] = gvks[0]
	}
	return kinds
}()

// history is the cluster as a log has shown it so far. It holds what is there and what rules read of it, so that it grows
// with the cluster and not with the log.
type history struct {
	// places are the namespaces by name; the one without a name holds what lies in none.
	places map[string]*place
	// shown are the kinds whose requests the log has, and those to whose status: it may leave any of them out.
	shown map[string]bool
}

// place is a namespace as far as it has been seen.
type place struct {
	// whole tells that the namespace was seen from its beginning: what was not seen in it is not there.
	whole bool
	// objects are by kind and name. One that is nil is known to be gone.
	objects map[string]map[string]policies.Object
}

func newHistory() *history {
	return &history{places: map[string]*place{}, shown: map[string]bool{}}
}

func (h *history) place(namespace string) *place {
	p, ok := h.places[namespace]
	if !ok {
		p = &place{objects: map[string]map[string]policies.Object{}}
		h.places[namespace] = p
	}
	return p
}

// knows tells whether an object of the kind that was not seen in the namespace is not there.
func (h *history) knows(kind, namespace string) bool {
	p, ok := h.places[namespace]
	return ok && p.whole && h.shown[kind]
}

// put keeps the object as it is now, or forgets it where that is the end of it.
func (h *history) put(o policies.Object) {
	kind := o.GetObjectKind().GroupVersionKind().Kind
	if gone(o) {
		h.remove(o)
		return
	}
	p := h.place(o.GetNamespace())
	if p.objects[kind] == nil {
		p.objects[kind] = map[string]policies.Object{}
	}
	p.objects[kind][o.GetName()] = slim(o)
}

// remove takes the object away. That it is gone is kept only where rules ask and would otherwise not know.
func (h *history) remove(o policies.Object) {
	switch o := o.(type) {
	case *corev1.Namespace:
		delete(h.places, o.Name)
	case *corev1.Service, *corev1.Pod:
		_, member := o.GetLabels()[appsv1.StatefulSetPodNameLabel]
		_, service := o.(*corev1.Service)
		if p := h.places[o.GetNamespace()]; p != nil && !p.whole && (member || service) {
			kind := o.GetObjectKind().GroupVersionKind().Kind
			if p.objects[kind] == nil {
				p.objects[kind] = map[string]policies.Object{}
			}
			p.objects[kind][o.GetName()] = nil
			return
		}
	}
	h.forget(o.GetObjectKind().GroupVersionKind().Kind, o.GetNamespace(), o.GetName())
}

// forget drops what is known of an object, so that nobody relies on it any more.
func (h *history) forget(kind, namespace, name string) {
	if p := h.places[namespace]; p != nil {
		delete(p.objects[kind], name)
	}
}

// known returns the object, or nil where it was not seen or is gone. A StatefulSet has no status where the log does not have
// its controller's word, as what was once true of it says nothing.
func (h *history) known(kind, namespace, name string) policies.Object {
	p := h.places[namespace]
	if p == nil {
		return nil
	}
	o := p.objects[kind][name]
	if set, ok := o.(*appsv1.StatefulSet); ok && !h.shown["StatefulSet/status"] {
		set = set.DeepCopy()
		set.Generation, set.Status = 0, appsv1.StatefulSetStatus{}
		return set
	}
	return o
}

// gone tells whether the API server keeps the object no longer: it is deleted, and neither a finalizer nor time to stop
// holds it.
func gone(o policies.Object) bool {
	if namespace, ok := o.(*corev1.Namespace); ok && len(namespace.Spec.Finalizers) > 0 {
		return false
	}
	grace := o.GetDeletionGracePeriodSeconds()
	return o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) == 0 && (grace == nil || *grace == 0)
}

// slim returns the object with what rules read of it. Most of a Pod and of a Node is nothing to them.
func slim(o policies.Object) policies.Object {
	o.SetManagedFields(nil)
	switch o := o.(type) {
	case *corev1.Pod:
		slim := &corev1.Pod{TypeMeta: o.TypeMeta, ObjectMeta: o.ObjectMeta}
		slim.Spec.NodeName, slim.Spec.TerminationGracePeriodSeconds = o.Spec.NodeName, o.Spec.TerminationGracePeriodSeconds
		slim.Status.Phase, slim.Status.Conditions = o.Status.Phase, o.Status.Conditions
		for _, volume := range o.Spec.Volumes {
			if volume.PersistentVolumeClaim != nil {
				slim.Spec.Volumes = append(slim.Spec.Volumes, volume)
			}
		}
		return slim
	case *corev1.Node:
		slim := &corev1.Node{TypeMeta: o.TypeMeta, ObjectMeta: o.ObjectMeta}
		slim.Spec.Taints = o.Spec.Taints
		return slim
	}
	return o
}

// remembered is what rules may ask of a history for one request.
type remembered struct {
	*history
	user authenticationv1.UserInfo
}

var _ policies.Cluster = remembered{}

func (r remembered) Namespace(name string) (*corev1.Namespace, error) {
	return recall[*corev1.Namespace](r, "Namespace", "", name)
}

func (r remembered) Service(namespace, name string) (*corev1.Service, error) {
	return recall[*corev1.Service](r, "Service", namespace, name)
}

func (r remembered) StatefulSets(namespace string) ([]*appsv1.StatefulSet, error) {
	return recallAll[*appsv1.StatefulSet](r, "StatefulSet", namespace), nil
}

// Pods returns those that were seen. They are all where the namespace was seen from its beginning, or where every member
// of the StatefulSets whose Pods are asked for was; and where the log has no word from the nodes, nobody knows which of them
// are ready.
func (r remembered) Pods(namespace string, selector labels.Selector) ([]*corev1.Pod, error) {
	var pods []*corev1.Pod
	for _, pod := range recallAll[*corev1.Pod](r, "Pod", namespace) {
		if selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	if r.shown["Pod/status"] && (r.knows("Pod", namespace) || r.sawMembers(namespace, selector)) {
		return pods, nil
	}
	return pods, policies.ErrUnknown
}

// sawMembers tells whether what became of each member of the StatefulSets that the selector selects has been seen.
func (r remembered) sawMembers(namespace string, selector labels.Selector) bool {
	selected := false
	pods := r.places[namespace]
	for _, set := range recallAll[*appsv1.StatefulSet](r, "StatefulSet", namespace) {
		if !selector.Matches(labels.Set(set.Spec.Template.Labels)) {
			continue
		}
		selected = true
		first := ptr.Deref(set.Spec.Ordinals, appsv1.StatefulSetOrdinals{}).Start
		for n := range ptr.Deref(set.Spec.Replicas, 1) {
			if _, seen := pods.objects["Pod"][fmt.Sprintf("%s-%d", set.Name, int64(first)+int64(n))]; !seen {
				return false
			}
		}
	}
	return selected
}

// Claims returns those that were seen. A claim that was not can only keep a rule from finding something.
func (r remembered) Claims(namespace string) ([]*corev1.PersistentVolumeClaim, error) {
	claims := recallAll[*corev1.PersistentVolumeClaim](r, "PersistentVolumeClaim", namespace)
	if len(claims) == 0 && !r.knows("PersistentVolumeClaim", namespace) {
		return nil, policies.ErrUnknown
	}
	return claims, nil
}

func (r remembered) Budgets(namespace string) ([]*policyv1.PodDisruptionBudget, error) {
	return recallAll[*policyv1.PodDisruptionBudget](r, "PodDisruptionBudget", namespace), nil
}

func (r remembered) StatefulSet(namespace, name string) (*appsv1.StatefulSet, error) {
	return recall[*appsv1.StatefulSet](r, "StatefulSet", namespace, name)
}

func (r remembered) Claim(namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return recall[*corev1.PersistentVolumeClaim](r, "PersistentVolumeClaim", namespace, name)
}

// StorageClasses returns those that were seen; nobody knows whether they are all.
func (r remembered) StorageClasses() ([]*storagev1.StorageClass, error) {
	return recallAll[*storagev1.StorageClass](r, "StorageClass", ""), policies.ErrUnknown
}

func (r remembered) Node(name string) (*corev1.Node, error) {
	return recall[*corev1.Node](r, "Node", "", name)
}

// MayBypass is certain only of those who may do anything. Who else may is not in the log.
func (r remembered) MayBypass(string) (bool, error) {
	if slices.Contains(r.user.Groups, user.SystemPrivilegedGroup) {
		return true, nil
	}
	return false, policies.ErrUnknown
}

func recall[T policies.Object](r remembered, kind, namespace, name string) (T, error) {
	var none T
	p, ok := r.places[namespace]
	if !ok {
		return none, policies.ErrUnknown
	}
	o, seen := p.objects[kind][name]
	switch {
	case o != nil:
		return o.(T), nil
	case seen || r.knows(kind, namespace):
		return none, apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name)
	}
	return none, policies.ErrUnknown
}

// recallAll returns the objects in the order of their names, so that the same log is always judged the same.
func recallAll[T policies.Object](r remembered, kind, namespace string) []T {
	var all []T
	if p, ok := r.places[namespace]; ok {
		for _, o := range p.objects[kind] {
			if o != nil {
				all = append(all, o.(T))
			}
		}
	}
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all
}
