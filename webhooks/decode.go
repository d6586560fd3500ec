package webhooks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	admissionv1 "k8s.io/api/admission/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// scheme has the kinds that reviews can be about.
var scheme = runtime.NewScheme()

func init() {
	kinds.AddToScheme(scheme)
	utilruntime.Must(autoscalingv1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
}

// decode reads JSON with the decoder that becomes encoding/json/v2 in Go 1.27. It is case-sensitive like the API server's, and
// reads each byte once, where encoding/json and sigs.k8s.io/json first validate everything. It accepts duplicate names and invalid
// UTF-8 as the API server does.
func decode(data []byte, into any, options ...json.Options) error {
	return json.Unmarshal(data, into, append(options, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))...)
}

// badRequest is a review that cannot be judged. It is answered with HTTP 400, so that the webhook's failure policy decides.
type badRequest struct{ error }

func badRequestf(format string, args ...any) error {
	return badRequest{fmt.Errorf(format, args...)}
}

// reviewDecoder decodes one AdmissionReview at a time.
type reviewDecoder struct {
	review  *admissionv1.AdmissionReview
	options json.Options
	// wanted reports whether a request's objects are needed, from the fields before them.
	wanted func(*admissionv1.AdmissionRequest) bool
}

// errUnwanted ends the decoding of a review whose objects are not needed.
var errUnwanted = errors.New("unwanted")

// reviewDecoders are reused, because a decoder analyzes each type only once.
var reviewDecoders = sync.Pool{New: func() any {
	d := &reviewDecoder{}
	d.options = json.WithUnmarshalers(json.UnmarshalFromFunc(d.object))
	return d
}}

// object decodes an object of the request into its type, in the same pass as the review: the API server sends the kind before the
// objects. Objects before their kind stay raw, as do the options.
func (d *reviewDecoder) object(from *jsontext.Decoder, into *runtime.RawExtension) error {
	o, err := newObject(d.review.Request)
	if err != nil || from.PeekKind() != '{' || into == &d.review.Request.Options {
		return errors.ErrUnsupported
	}
	// The API server sends oldObject after object: both are needed, or neither.
	if d.review.Kind != "" && into == &d.review.Request.Object && !d.wanted(d.review.Request) {
		return errUnwanted
	}
	into.Object = o
	return json.UnmarshalDecode(from, o, json.WithUnmarshalers(nil))
}

// decodeReview decodes an AdmissionReview and checks that it has a request. If wanted returns false for the fields that the API
// server sends before the objects, it stops there.
func decodeReview(body []byte, wanted func(*admissionv1.AdmissionRequest) bool) (review *admissionv1.AdmissionReview, unwanted bool, err error) {
	d := reviewDecoders.Get().(*reviewDecoder)
	review = &admissionv1.AdmissionReview{}
	d.review, d.wanted = review, wanted
	defer func() {
		d.review, d.wanted = nil, nil
		reviewDecoders.Put(d)
	}()
	err = decode(body, review, d.options)
	if unwanted = errors.Is(err, errUnwanted); err != nil && !unwanted {
		return nil, false, badRequestf("the body is not an AdmissionReview: %w", err)
	}
	if gvk := review.GroupVersionKind(); gvk != admissionv1.SchemeGroupVersion.WithKind("AdmissionReview") {
		return nil, false, badRequestf("the body is %s, not an AdmissionReview of admission.k8s.io/v1", describe(gvk))
	}
	if review.Request == nil {
		return nil, false, badRequestf("the AdmissionReview has no request")
	}
	if review.Request.UID == "" {
		return nil, false, badRequestf("the AdmissionReview's request has no uid")
	}
	return review, unwanted, nil
}

func describe(gvk schema.GroupVersionKind) string {
	if gvk.Empty() {
		return "an object without apiVersion and kind"
	}
	return gvk.GroupVersion().String() + " " + gvk.Kind
}

// decodeChange converts an admission request into the change that the rules judge. A scale request becomes an update of its
// StatefulSet, and an eviction the delete of its Pod, both looked up in the cluster. If the object is gone the change is nil: the
// API server's own error is better.
func decodeChange(ctx context.Context, req *admissionv1.AdmissionRequest, clusters Clusters) (*policies.Change, error) {
	ch := &policies.Change{
		Operation: req.Operation,
		User:      req.UserInfo,
		DryRun:    ptr.Deref(req.DryRun, false),
		Time:      time.Now(),
	}
	var err error
	if ch.DeleteOptions, err = decodeDeleteOptions(req); err != nil {
		return nil, err
	}
	if ch.Old, err = decodeObject(req, "oldObject", req.OldObject); err != nil {
		return nil, err
	}
	if ch.New, err = decodeObject(req, "object", req.Object); err != nil {
		return nil, err
	}
	switch {
	case req.Operation == admissionv1.Delete && ch.Old == nil:
		return nil, badRequestf("the DELETE of %s has no oldObject", req.Resource.Resource)
	case req.Operation == admissionv1.Create && ch.New == nil:
		return nil, badRequestf("the CREATE of %s has no object", req.Resource.Resource)
	case req.Operation == admissionv1.Update && (ch.New == nil || ch.Old == nil):
		return nil, badRequestf("the UPDATE of %s has no object or no oldObject", req.Resource.Resource)
	case req.Operation == admissionv1.Connect:
		return nil, badRequestf("CONNECT is not judged")
	}
	switch req.SubResource {
	case "":
		advanced(ch)
		return ch, nil
	case "scale":
		if kinds.IsCustom(req.Resource.Group) {
			return customScaleChange(ctx, req.Resource, ch, clusters)
		}
		return scaleChange(ctx, ch, clusters)
	case "eviction":
		return evictionChange(ctx, ch, clusters)
	default:
		return nil, badRequestf("%s/%s is not judged", req.Resource.Resource, req.SubResource)
	}
}

// decodeObject returns the object in a field of the request, or nil.
func decodeObject(req *admissionv1.AdmissionRequest, field string, in runtime.RawExtension) (kinds.Object, error) {
	o, _ := in.Object.(kinds.Object)
	if o == nil {
		if len(in.Raw) == 0 || string(in.Raw) == "null" {
			return nil, nil
		}
		var err error
		if o, err = newObject(req); err != nil {
			return nil, err
		}
		if err := decode(in.Raw, o); err != nil {
			return nil, badRequestf("the request's %s is not a %s: %w", field, describe(schema.GroupVersionKind(req.Kind)), err)
		}
	}
	o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind(req.Kind))
	if custom, ok := o.(*kinds.Custom); ok {
		custom.Resource = req.Resource.Resource
	}
	if _, ok := o.(*corev1.Namespace); !ok && o.GetNamespace() == "" {
		// A request about a Namespace has that namespace as its own, but the object has none.
		o.SetNamespace(req.Namespace)
	}
	if o.GetName() == "" {
		o.SetName(req.Name)
	}
	return o, nil
}

// newObject returns an empty object of the request's kind.
func newObject(req *admissionv1.AdmissionRequest) (kinds.Object, error) {
	gvk := schema.GroupVersionKind(req.Kind)
	typed, err := scheme.New(gvk)
	if err != nil && kinds.IsCustom(gvk.Group) {
		return &kinds.Custom{}, nil
	}
	if err != nil {
		return nil, badRequestf("kind %s is not judged. Fix: remove it from the webhook configuration", describe(gvk))
	}
	o, ok := typed.(kinds.Object)
	if !ok {
		return nil, badRequestf("kind %s is not an object", describe(gvk))
	}
	return o, nil
}

func decodeDeleteOptions(req *admissionv1.AdmissionRequest) (*metav1.DeleteOptions, error) {
	if req.Operation != admissionv1.Delete || len(req.Options.Raw) == 0 {
		return nil, nil
	}
	options := &metav1.DeleteOptions{}
	if err := decode(req.Options.Raw, options); err != nil {
		return nil, badRequestf("the request's options are not DeleteOptions: %w", err)
	}
	return options, nil
}

func scaleChange(ctx context.Context, ch *policies.Change, clusters Clusters) (*policies.Change, error) {
	oldScale, newScale, err := scales(ch)
	if err != nil {
		return nil, err
	}
	set, err := clusters.Scaled(ctx, client.ObjectKeyFromObject(oldScale), oldScale.ResourceVersion)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// No one changes what the two sides share.
	older, newer := *set, *set
	older.Spec.Replicas, newer.Spec.Replicas = &oldScale.Spec.Replicas, &newScale.Spec.Replicas
	ch.Scale, ch.Old, ch.New = true, &older, &newer
	return ch, nil
}

// customScaleChange converts a request to scale a custom resource into an update of what is known of it, with the number in
// spec.replicas.
func customScaleChange(ctx context.Context, of metav1.GroupVersionResource, ch *policies.Change, clusters Clusters) (*policies.Change, error) {
	oldScale, newScale, err := scales(ch)
	if err != nil {
		return nil, err
	}
	custom, err := clusters.Custom(ctx, schema.GroupVersionResource(of), oldScale.ObjectMeta)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at := func(replicas int32) *kinds.Custom {
		o := custom.DeepCopyObject().(*kinds.Custom)
		spec, _ := o.Object["spec"].(map[string]any)
		if spec == nil {
			spec = map[string]any{}
		}
		spec["replicas"] = int64(replicas)
		o.Object["spec"] = spec
		return o
	}
	ch.Scale, ch.Old, ch.New = true, at(oldScale.Spec.Replicas), at(newScale.Spec.Replicas)
	advanced(ch)
	return ch, nil
}

// advanced converts the change's Advanced StatefulSets into StatefulSets. If it cannot, they stay custom resources: a field that
// Mooring does not know is no reason to refuse.
func advanced(ch *policies.Change) {
	sides := [2]kinds.Object{ch.Old, ch.New}
	for i, side := range sides {
		if side == nil {
			continue
		}
		var err error
		if sides[i], err = kinds.Judged(side); err != nil {
			return
		}
	}
	ch.Old, ch.New = sides[0], sides[1]
}

func scales(ch *policies.Change) (older, newer *autoscalingv1.Scale, err error) {
	older, ok1 := ch.Old.(*autoscalingv1.Scale)
	newer, ok2 := ch.New.(*autoscalingv1.Scale)
	if !ok1 || !ok2 {
		return nil, nil, badRequestf("a request to scale must be an UPDATE of a Scale")
	}
	return older, newer, nil
}

func evictionChange(ctx context.Context, ch *policies.Change, clusters Clusters) (*policies.Change, error) {
	eviction, ok := ch.New.(*policyv1.Eviction)
	if !ok {
		return nil, badRequestf("an eviction must be a CREATE of an Eviction")
	}
	ch.Eviction, ch.Operation, ch.New, ch.DeleteOptions = true, admissionv1.Delete, nil, eviction.DeleteOptions
	pod, err := clusters.Pod(ctx, client.ObjectKeyFromObject(eviction))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return ch, err
	}
	ch.Old = pod
	return ch, nil
}
