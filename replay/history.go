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

// knows tells whether an object of the kind that was not seen in the namespace is not there.
func (h *history) knows(kind *kinds.Kind, namespace string) bool {
	p, ok := h.places[namespace]
	return ok && p.whole && h.shown[kind.Kind]
}

// put keeps the object as it is now, or forgets it where that is the end of it.
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
		// Of what many controllers write all the time, only what rules read is worth its memory. What somebody changes later is
		// compared whole.
		kinds.Trim(o)
	}
	p.objects[kind][o.GetName()] = o
}

// remove takes the object away. That it is gone is kept only where rules ask and would otherwise not know.
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

// forget drops what is known of an object, so that nobody relies on it any more.
func (h *history) forget(kind *kinds.Kind, namespace, name string) {
	if p := h.places[namespace]; p != nil {
		delete(p.objects[kind], name)
	}
}

// known returns the object, or nil where it was not seen or is gone. A StatefulSet has no status where the log does not have
// its controller's word, as what was once true of it says nothing.
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

// gone tells whether the API server keeps the object no longer: it is deleted, and neither a finalizer nor time to stop
// holds it.
func gone(o kinds.Object) bool {
	if namespace, ok := o.(*corev1.Namespace); ok && len(namespace.Spec.Finalizers) > 0 {
		return false
	}
	grace := o.GetDeletionGracePeriodSeconds()
	return o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) == 0 && (grace == nil || *grace == 0)
}

// all returns the objects of the kind that were seen, in the order of their names, so that the same log is always judged the same.
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

// cluster is what rules may ask of a history for one request.
type cluster struct {
	*history
	user authenticationv1.UserInfo
	policies.Nobody
}

var _ policies.Cluster = cluster{}

// Get returns the object where it was seen. One that was not is known not to be there where the namespace was seen from its
// beginning, or where it was seen to go.
func (r cluster) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	p, ok := r.places[namespace]
	if !ok {
		return nil, false, nil
	}
	o, seen := p.objects[kind][name]
	return o, o != nil || seen || r.knows(kind, namespace), nil
}

// List returns those that were seen. Pods are all where the namespace was seen from its beginning, or where every member of the
// StatefulSets whose Pods are asked for was; and where the log has no word from the nodes, nobody knows which of them are ready.
// Of other kinds, one that was not seen can only keep a rule from finding something.
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

// sawMembers tells whether what became of each member of the StatefulSets that the selector selects has been seen.
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

// MayBypass is certain only of those who may do anything. Who else may is not in the log.
func (r cluster) MayBypass(string, string) (bool, bool, error) {
	root := slices.Contains(r.user.Groups, user.SystemPrivilegedGroup)
	return root, root, nil
}
