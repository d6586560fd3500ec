package replay

import (
	"encoding/json"
	"errors"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
)

// apply updates the history with a request that succeeded. The changes are those of the request; err means that they are
// incomplete.
func (h *history) apply(r request, changes []policies.Change, err error) {
	kind, at := r.kind, h.places[r.namespace()]
	if err != nil && !errors.Is(err, errUnseen) && at != nil {
		// An unknown change happened here.
		at.whole = false
	}
	if err == nil || r.Level != auditv1.LevelMetadata {
		h.shown[shownAs(kind, r.ObjectRef.Subresource)] = true
	}
	switch {
	case r.operation() == admissionv1.Delete:
		for _, ch := range changes {
			h.delete(r, ch)
		}
	case r.operation() == admissionv1.Create && r.ObjectRef.Subresource == "binding":
		h.bind(r)
	case r.operation() == admissionv1.Create && r.ObjectRef.Subresource != "":
	case changes[0].New == nil:
		h.forget(kind, r.namespace(), r.ObjectRef.Name)
	default:
		h.put(changes[0].New)
		if kind == kinds.Namespace && r.operation() == admissionv1.Create {
			h.place(changes[0].New.GetName()).whole = true
		}
	}
}

// shownAs is the key under which the history records that the log has requests to a kind. Many logs omit those to its status, which
// nodes and controllers send.
func shownAs(kind *kinds.Kind, subresource string) string {
	if subresource == "status" {
		return kind.Kind + "/status"
	}
	return kind.Kind
}

// delete removes an object, or marks it Terminating if finalizers or a grace period keep it.
func (h *history) delete(r request, ch policies.Change) {
	if ch.Old == nil {
		h.forget(r.kind, r.namespace(), r.ObjectRef.Name)
		return
	}
	after, _ := r.stored()
	if after != nil && after.GetDeletionTimestamp() == nil || after == nil && r.ResponseObject != nil && r.Verb == "delete" {
		h.remove(ch.Old)
		return
	}
	if after == nil {
		after = ch.Old.DeepCopyObject().(kinds.Object)
		after.SetDeletionTimestamp(ptr.To(metav1.NewTime(r.StageTimestamp.Time)))
		if pod, ok := after.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
			pod.DeletionGracePeriodSeconds = ptr.Deref(ch.DeleteOptions, metav1.DeleteOptions{}).GracePeriodSeconds
		}
	}
	h.put(after)
}

// bind records the node of a Pod.
func (h *history) bind(r request) {
	var binding corev1.Binding
	pod, ok := h.known(kinds.Pod, r.namespace(), r.ObjectRef.Name).(*corev1.Pod)
	if ok && r.RequestObject != nil && json.Unmarshal(r.RequestObject.Raw, &binding) == nil {
		pod = pod.DeepCopy()
		pod.Spec.NodeName = binding.Target.Name
		h.put(pod)
	}
}

// look records objects in a response that were not seen before. Of known objects, it may show an older state.
func (h *history) look(r request) {
	if !r.succeeded || r.ResponseObject == nil || r.ObjectRef.Subresource != "" {
		return
	}
	keep := func(o kinds.Object) {
		if p := h.place(o.GetNamespace()); !p.whole {
			if _, seen := p.objects[r.kind][o.GetName()]; !seen {
				h.put(o)
			}
		}
	}
	if o, _ := r.stored(); o != nil {
		keep(o)
		return
	}
	for _, o := range r.listed() {
		keep(o)
	}
}

// listed returns the objects of a list in the response.
func (r request) listed() []kinds.Object {
	list := r.sent.NewList()
	if json.Unmarshal(r.ResponseObject.Raw, list) != nil {
		return nil
	}
	var all []kinds.Object
	for _, o := range r.sent.Items(list) {
		if o, err := kinds.Judged(o); o.GetName() != "" && err == nil {
			kinds.Normalise(o)
			all = append(all, o)
		}
	}
	return all
}

// collection returns the known objects of the collection that the request is about.
func (h *history) collection(r request) ([]kinds.Object, error) {
	selector, err1 := labels.Parse(r.query.Get("labelSelector"))
	field, err2 := fields.ParseSelector(r.query.Get("fieldSelector"))
	if errors.Join(err1, err2) != nil {
		return nil, errCollection
	}
	var members []kinds.Object
	for _, o := range h.all(r.kind, r.namespace()) {
		if kinds.IsAdvanced(o) == (r.sent == kinds.Advanced) && selector.Matches(labels.Set(o.GetLabels())) &&
			field.Matches(fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}) {
			members = append(members, o)
		}
	}
	if len(members) == 0 && !h.knows(r.kind, r.namespace()) {
		return nil, errCollection
	}
	return members, nil
}
