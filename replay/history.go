package replay

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
)

// history is the cluster as far as a log has shown it. It keeps existing objects with the fields that rules read, so it grows with
// the cluster and not with the log.
type history struct {
	// places are the namespaces by name; "" has the cluster-scoped objects.
	places map[string]*place
	// shown are the kinds whose requests, or status updates, the log has. It may omit any of them.
	shown map[string]bool
}

// place is a namespace as far as it was seen.
type place struct {
	// whole means that the log has the namespace's creation, so that objects that were not seen do not exist.
	whole bool
	// objects are by kind and name. A nil object was deleted.
	objects map[*kinds.Kind]map[string]kinds.Object
}

func newHistory() *history {
	return &history{places: map[string]*place{}, shown: map[string]bool{}}
}

func (h *history) place(namespace string) *place {
	p, ok := h.places[namespace]
	if !ok {
		p = &place{objects: map[*kinds.Kind]map[string]kinds.Object{}}
		h.places[namespace] = p
	}
	return p
}

// knows reports whether an unseen object of the kind does not exist in the namespace.
func (h *history) knows(kind *kinds.Kind, namespace string) bool {
	p, ok := h.places[namespace]
	return ok && p.whole && h.shown[kind.Kind]
}

// put records the object, or forgets it if this is its end.
func (h *history) put(o kinds.Object) {
	kind := kinds.Of(o)
	if gone(o) {
		h.remove(o)
		return
	}
	p := h.place(o.GetNamespace())
	if p.objects[kind] == nil {
		p.objects[kind] = map[string]kinds.Object{}
	}
	if kind.Live {
		// Of objects that controllers write constantly, only the fields that rules read are kept. The others are kept whole for
		// comparison.
		kinds.Trim(o)
	}
	p.objects[kind][o.GetName()] = o
}

// remove removes the object. The deletion is recorded only if rules need it.
func (h *history) remove(o kinds.Object) {
	switch o := o.(type) {
	case *corev1.Namespace:
		delete(h.places, o.Name)
	case *corev1.Service, *corev1.Pod:
		_, member := o.GetLabels()[appsv1.StatefulSetPodNameLabel]
		_, service := o.(*corev1.Service)
		if p := h.places[o.GetNamespace()]; p != nil && !p.whole && (member || service) {
			kind := kinds.Of(o)
			if p.objects[kind] == nil {
				p.objects[kind] = map[string]kinds.Object{}
			}
			p.objects[kind][o.GetName()] = nil
			return
		}
	}
	h.forget(kinds.Of(o), o.GetNamespace(), o.GetName())
}

// forget drops what is known of an object.
func (h *history) forget(kind *kinds.Kind, namespace, name string) {
	if p := h.places[namespace]; p != nil {
		delete(p.objects[kind], name)
	}
}

// known returns the object, or nil if it was not seen or is gone. If the log has no status updates, a StatefulSet has no status,
// because an old one means nothing.
func (h *history) known(kind *kinds.Kind, namespace, name string) kinds.Object {
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

// gone reports whether the object no longer exists: it is deleted, and neither a finalizer nor a grace period keeps it.
func gone(o kinds.Object) bool {
	if namespace, ok := o.(*corev1.Namespace); ok && len(namespace.Spec.Finalizers) > 0 {
		return false
	}
	grace := o.GetDeletionGracePeriodSeconds()
	return o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) == 0 && (grace == nil || *grace == 0)
}

// all returns the objects of the kind in the order of their names, so that results are reproducible.
func (h *history) all(kind *kinds.Kind, namespace string) []kinds.Object {
	var all []kinds.Object
	if p, ok := h.places[namespace]; ok {
		for _, o := range p.objects[kind] {
			if o != nil {
				all = append(all, o)
			}
		}
	}
	slices.SortFunc(all, func(a, b kinds.Object) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all
}

// cluster answers the rules' questions from a history, for one request.
type cluster struct {
	*history
	user authenticationv1.UserInfo
	policies.Nobody
}

var _ policies.Cluster = cluster{}

// Get returns the object if it was seen. An unseen object is known not to exist if the namespace was seen from its creation, or if
// its deletion was seen.
func (r cluster) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	p, ok := r.places[namespace]
	if !ok {
		return nil, false, nil
	}
	o, seen := p.objects[kind][name]
	return o, o != nil || seen || r.knows(kind, namespace), nil
}

// List returns the objects that were seen. Pods are complete if the namespace was seen from its creation, or if every member of the
// selected StatefulSets was seen. Without status updates from the nodes, their readiness is unknown. For other kinds, a missing
// object can only hide a finding.
func (r cluster) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	found := slices.DeleteFunc(r.all(kind, namespace), func(o kinds.Object) bool { return !selector.Matches(labels.Set(o.GetLabels())) })
	switch kind {
	case kinds.Pod:
		return found, r.shown["Pod/status"] && (r.knows(kind, namespace) || r.sawMembers(namespace, selector)), nil
	case kinds.StorageClass:
		return found, false, nil
	case kinds.PersistentVolumeClaim:
		return found, len(found) > 0 || r.knows(kind, namespace), nil
	}
	return found, true, nil
}

// sawMembers reports whether each member of the selected StatefulSets was seen.
func (r cluster) sawMembers(namespace string, selector labels.Selector) bool {
	selected := false
	pods := r.places[namespace]
	for _, o := range r.all(kinds.StatefulSet, namespace) {
		set := o.(*appsv1.StatefulSet)
		if !selector.Matches(labels.Set(set.Spec.Template.Labels)) {
			continue
		}
		selected = true
		for n := range (statefulset.Ranges{statefulset.OrdinalsOf(set)}).All() {
			if _, seen := pods.objects[kinds.Pod][statefulset.PodName(set, n)]; !seen {
				return false
			}
		}
	}
	return selected
}

// MayBypass is known only for users with all rights. The log does not have the rights of others.
func (r cluster) MayBypass(string, string) (bool, bool, error) {
	root := slices.Contains(r.user.Groups, user.SystemPrivilegedGroup)
	return root, root, nil
}
