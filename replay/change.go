package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/ptr"
	strictjson "sigs.k8s.io/json"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
)

// The reasons why a request cannot be judged. Requests are counted by reason.
var (
	errMetadata    = errors.New("the log has only its metadata (audit level Metadata)")
	errUnseen      = errors.New("the log does not show the object before the change")
	errUnreadable  = errors.New("its object cannot be decoded")
	errUnpatchable = errors.New("its patch does not apply to the object as the log shows it")
	errCollection  = errors.New("the log does not show which objects the collection had")
)

// request is a request of the log to an object of a known kind.
type request struct {
	*event
	// kind is the kind that rules judge the object as, sent its kind in the log.
	kind, sent *kinds.Kind
	query      url.Values
	// dryRun means that nothing was stored, succeeded that the API server carried out the request.
	dryRun, succeeded bool
}

// newRequest returns the event's request, or false if the event or its kind does not matter.
func newRequest(e *event) (request, bool) {
	ref := e.ObjectRef
	if ref == nil || e.Stage != auditv1.StageResponseComplete && e.Stage != auditv1.StagePanic {
		return request{}, false
	}
	of := schema.GroupResource{Group: ref.APIGroup, Resource: ref.Resource}
	kind := kinds.ByResource(of)
	sent := kind
	if of == kinds.Advanced.GroupResource() {
		kind, sent = kinds.StatefulSet, kinds.Advanced
	}
	if kind == nil {
		return request{}, false
	}
	r := request{event: e, kind: kind, sent: sent}
	if at, err := url.ParseRequestURI(e.RequestURI); err == nil {
		r.query = at.Query()
	}
	r.dryRun = r.query.Has("dryRun") || dryRunInBody(e)
	r.succeeded = e.Stage == auditv1.StageResponseComplete && (e.ResponseStatus == nil || e.ResponseStatus.Code < 300)
	return r, true
}

// dryRunInBody reports whether a delete's options ask for a dry run.
func dryRunInBody(e *event) bool {
	var options metav1.DeleteOptions
	return strings.HasPrefix(e.Verb, "delete") && e.RequestObject != nil && json.Unmarshal(e.RequestObject.Raw, &options) == nil &&
		len(options.DryRun) > 0
}

// operation returns the admission operation, or "" for a read.
func (r request) operation() admissionv1.Operation {
	switch r.Verb {
	case "create":
		return admissionv1.Create
	case "update", "patch":
		return admissionv1.Update
	case "delete", "deletecollection":
		return admissionv1.Delete
	}
	return ""
}

// judged reports whether the webhook is called for such requests: a rule judges them, they reached admission, and they are no
// controller's writes for an earlier request. A request that failed for another reason would have failed anyway.
func (r request) judged() bool {
	sub := r.ObjectRef.Subresource
	if sub != "" && (sub != "scale" || r.kind != kinds.StatefulSet) || !r.succeeded && !r.refusedByWebhook() {
		return false
	}
	if r.operation() != admissionv1.Update && r.draft().ByController() {
		return false
	}
	return slices.ContainsFunc(rules.All, func(rule policies.Rule) bool {
		return slices.ContainsFunc(rule.On, func(t policies.Trigger) bool {
			return t.Kind == r.kind && slices.Contains(t.Operations, r.operation())
		})
	})
}

// refusedByWebhook reports whether an admission webhook, Mooring's or another, refused the request.
func (r request) refusedByWebhook() bool {
	return r.ResponseStatus != nil && strings.HasPrefix(r.ResponseStatus.Message, "admission webhook ")
}

// asker returns the user as the webhook would get it.
func (r request) asker() authenticationv1.UserInfo {
	if r.ImpersonatedUser != nil {
		return *r.ImpersonatedUser
	}
	return r.User
}

// change returns the request as the rules judge it, with both sides as the log and the history have them. If it also returns an
// error, the change is incomplete.
func (r request) change(h *history) (policies.Change, error) {
	ch := r.draft()
	old := h.known(r.kind, r.namespace(), r.ObjectRef.Name)
	if r.Level == auditv1.LevelMetadata || r.RequestObject == nil && ch.Operation != admissionv1.Delete {
		return ch, errMetadata
	}
	var err error
	switch {
	case r.ObjectRef.Subresource == "scale":
		ch.Scale, ch.Old = true, old
		ch.New, err = r.scaled(old)
	case ch.Operation == admissionv1.Create:
		ch.New, err = r.created()
	case ch.Operation == admissionv1.Update:
		ch.Old = old
		if ch.New, err = r.updated(old); err == nil && old == nil {
			err = errUnseen
		}
	default:
		if old == nil {
			if old, err = r.stored(); err != nil {
				return ch, err
			}
		}
		if old == nil {
			return ch, errUnseen
		}
		return r.deletion(old)
	}
	return ch, err
}

// draft returns the parts of a change that come from the request alone.
func (r request) draft() policies.Change {
	return policies.Change{Operation: r.operation(), User: r.asker(), DryRun: r.dryRun, Time: r.RequestReceivedTimestamp.Time}
}

// deletion returns the delete of an object, by itself or in a collection.
func (r request) deletion(old kinds.Object) (policies.Change, error) {
	ch := r.draft()
	ch.Old = old
	var err error
	ch.DeleteOptions, err = r.deleteOptions(old)
	return ch, err
}

// namespace returns the object's namespace. A request about a Namespace has that namespace as its own.
func (r request) namespace() string {
	if r.kind.Kind == "Namespace" {
		return ""
	}
	return r.ObjectRef.Namespace
}

// stored returns the object in the response, or nil if there is none or the log omits it.
func (r request) stored() (kinds.Object, error) {
	if !r.succeeded || r.ResponseObject == nil {
		return nil, nil
	}
	var is metav1.TypeMeta
	if err := json.Unmarshal(r.ResponseObject.Raw, &is); err != nil || is.Kind != r.kind.Kind {
		return nil, nil
	}
	return r.decode(r.ResponseObject)
}

// decode decodes an object of the request's kind. In every version of these kinds, the fields that rules read have the same names.
func (r request) decode(raw *runtime.Unknown) (kinds.Object, error) {
	o := r.sent.New()
	if err := strictjson.UnmarshalCaseSensitivePreserveInts(raw.Raw, o); err != nil {
		return nil, errUnreadable
	}
	o.GetObjectKind().SetGroupVersionKind(r.sent.GroupVersionKind)
	o, err := kinds.Judged(o)
	if err != nil {
		return nil, errUnreadable
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(r.namespace())
	}
	if o.GetName() == "" {
		o.SetName(r.ObjectRef.Name)
	}
	kinds.Normalise(o)
	return o, nil
}

// created returns the created object as stored, otherwise as sent.
func (r request) created() (kinds.Object, error) {
	if o, err := r.stored(); o != nil || err != nil {
		return o, err
	}
	return r.decode(r.RequestObject)
}

// updated returns the object after an update or patch as stored, otherwise what the request shows of it.
func (r request) updated(old kinds.Object) (kinds.Object, error) {
	if o, err := r.stored(); o != nil || err != nil {
		return o, err
	}
	if r.Verb == "patch" {
		if old == nil {
			return nil, errUnseen
		}
		return r.patched(old)
	}
	o, err := r.decode(r.RequestObject)
	if err == nil && old != nil {
		keepsIdentity(o, old)
	}
	return o, err
}

// keepsIdentity copies the fields that clients cannot change.
func keepsIdentity(o, old kinds.Object) {
	o.SetUID(old.GetUID())
	o.SetCreationTimestamp(old.GetCreationTimestamp())
	o.SetDeletionTimestamp(old.GetDeletionTimestamp())
	o.SetGeneration(old.GetGeneration())
	if field(old, "Status").IsValid() {
		field(o, "Status").Set(field(old, "Status"))
	}
	if !sameSpec(old, o) {
		o.SetGeneration(old.GetGeneration() + 1)
	}
}

// sameSpec reports whether nothing changes that the webhook is called for: labels, annotations and status do not count.
func sameSpec(a, b kinds.Object) bool {
	was, is := field(a, "Spec"), field(b, "Spec")
	return was.IsValid() && is.IsValid() && equality.Semantic.DeepEqual(was.Interface(), is.Interface())
}

func field(o kinds.Object, name string) reflect.Value {
	return reflect.ValueOf(o).Elem().FieldByName(name)
}

// patched applies the request's patch. An audit event does not have its type. A list is a JSON patch; anything else is taken as a
// strategic merge patch, from which merge patches and server-side apply differ only in removing list items.
func (r request) patched(old kinds.Object) (kinds.Object, error) {
	o, err := patchObject(old, r.RequestObject.Raw)
	if err != nil {
		return nil, errUnpatchable
	}
	if r.ObjectRef.Subresource == "" {
		keepsIdentity(o, old)
	}
	kinds.Normalise(o)
	return o, nil
}

// patchObject returns a patched copy of the object.
func patchObject[T runtime.Object](o T, patch []byte) (T, error) {
	patched := reflect.New(reflect.TypeOf(o).Elem()).Interface().(T)
	before, err := json.Marshal(o)
	if err != nil {
		return patched, err
	}
	var after []byte
	if bytes.HasPrefix(bytes.TrimSpace(patch), []byte("[")) {
		var operations jsonpatch.Patch
		if operations, err = jsonpatch.DecodePatch(patch); err == nil {
			after, err = operations.Apply(before)
		}
	} else {
		after, err = strategicpatch.StrategicMergePatch(before, patch, o)
	}
	if err != nil {
		return patched, err
	}
	return patched, strictjson.UnmarshalCaseSensitivePreserveInts(after, patched)
}

// scaled returns the StatefulSet with the replicas requested through its scale subresource.
func (r request) scaled(old kinds.Object) (kinds.Object, error) {
	set, ok := old.(*appsv1.StatefulSet)
	if !ok {
		return nil, errUnseen
	}
	scale := &autoscalingv1.Scale{}
	var err error
	switch {
	case r.succeeded && r.ResponseObject != nil:
		err = strictjson.UnmarshalCaseSensitivePreserveInts(r.ResponseObject.Raw, scale)
	case r.Verb == "patch":
		scale.Spec.Replicas = ptr.Deref(set.Spec.Replicas, 1)
		scale, err = patchObject(scale, r.RequestObject.Raw)
	default:
		err = strictjson.UnmarshalCaseSensitivePreserveInts(r.RequestObject.Raw, scale)
	}
	if err != nil {
		return nil, errUnreadable
	}
	newer := set.DeepCopy()
	newer.Spec.Replicas = &scale.Spec.Replicas
	if !sameSpec(set, newer) {
		newer.Generation++
	}
	return newer, nil
}

// deleteOptions returns the options of a delete, from its body or its query.
func (r request) deleteOptions(old kinds.Object) (*metav1.DeleteOptions, error) {
	options := &metav1.DeleteOptions{}
	if r.RequestObject != nil {
		if err := strictjson.UnmarshalCaseSensitivePreserveInts(r.RequestObject.Raw, options); err != nil {
			return nil, errUnreadable
		}
	} else if err := metav1.Convert_url_Values_To_v1_DeleteOptions(&r.query, options, nil); err != nil {
		return nil, errUnreadable
	}
	if pod, ok := old.(*corev1.Pod); ok && options.GracePeriodSeconds == nil {
		// The API server sets it before it calls webhooks.
		options.GracePeriodSeconds = pod.Spec.TerminationGracePeriodSeconds
	}
	return options, nil
}
