// Package webhooks converts AdmissionReviews into changes, judges them with the policies, and answers: allowed, refused with
// reasons, or allowed with a patch.
package webhooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Reviewer answers admission requests with the current policies.
type Reviewer struct {
	// AskAgain answers a destructive request with 503 and a retry delay if the cluster cannot be read. kubectl and client-go then
	// retry by themselves. It is for guard, which would refuse the request anyway.
	AskAgain bool

	policies atomic.Pointer[policies.Set]
	clusters Clusters
	events   events.EventRecorder
}

// Clusters gives a Reviewer the cluster for each request.
type Clusters interface {
	// Around returns the Cluster for one request of the user: from a cache, or live.
	Around(ctx context.Context, user authenticationv1.UserInfo, live bool) policies.Cluster
	// Scaled returns the StatefulSet that a scale request is about, at resourceVersion or newer.
	Scaled(ctx context.Context, key client.ObjectKey, resourceVersion string) (*appsv1.StatefulSet, error)
	// Custom returns what is known of a custom resource, given the metadata of its Scale: at least its kind.
	Custom(ctx context.Context, of schema.GroupVersionResource, meta metav1.ObjectMeta) (*kinds.Custom, error)
	// Pod returns the Pod, read live.
	Pod(ctx context.Context, key client.ObjectKey) (*corev1.Pod, error)
}

// NewReviewer returns a Reviewer that creates Events through recorder. It has no policies yet: see PolicyLoader.
func NewReviewer(clusters Clusters, recorder events.EventRecorder) *Reviewer {
	return &Reviewer{clusters: clusters, events: recorder}
}

// validate judges the request with every rule.
func (r *Reviewer) validate(ctx context.Context, req *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	ch, err := decodeChange(ctx, req, r.clusters)
	switch bad := (badRequest{}); {
	case errors.As(err, &bad):
		return nil, err
	case err != nil && ch != nil && !ch.Destructive():
		return nil, err
	case err != nil:
		// Only scale requests and evictions are looked up.
		return r.unread(err)
	case ch == nil:
		return allowed(), nil
	}
	if ch.Object().GetObjectKind().GroupVersionKind().Group == v1alpha1.GroupVersion.Group {
		return judgePolicy(r.policies.Load(), ch.Old, ch.New, ch.Time), nil
	}
	set := r.policies.Load()
	cached := r.clusters.Around(ctx, req.UserInfo, false)
	if ch.Operation == admissionv1.Create {
		// Rules ask for these Pods again.
		cached = policies.Remember(cached)
	}
	meets, err := ch.MeetsPods(cached)
	if err != nil {
		return nil, err
	}
	var verdict policies.Verdict
	live := meets || ch.Destructive()
	if !live {
		if verdict, err = set.Judge(*ch, cached); err != nil {
			return nil, err
		}
		// The cache may be behind, so a refusal must rest on live objects.
		live = verdict.Denied()
	}
	if live {
		// Several rules and policies ask the same questions, and each answer costs a request.
		verdict, err = set.Judge(*ch, policies.Remember(r.clusters.Around(ctx, req.UserInfo, true)))
	}
	if err != nil && ch.Destructive() {
		return r.unread(err)
	}
	if err != nil {
		return nil, err
	}
	r.account(ctx, req, ch, verdict)
	return respond(req, verdict), nil
}

// unread answers a request that only guard judges and that could not be judged because of err. Guard must refuse it. Unlike an HTTP
// error, this answer tells the client that a retry may succeed.
func (r *Reviewer) unread(err error) (*admissionv1.AdmissionResponse, error) {
	if !r.AskAgain {
		return nil, err
	}
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable,
		Message: fmt.Sprintf("cannot judge the request, because Mooring cannot read the cluster: %v\n"+
			"  Nothing was changed. Fix: try again. If it fails again, check the API server and etcd: kubectl get --raw='/readyz?verbose'", err),
		Details: &metav1.StatusDetails{RetryAfterSeconds: 1},
	}}, err
}

// mayFill reports whether a policy may set defaults for the request; for most namespaces none does. A volume names its namespace in
// its spec, and the replicas of a Scale may be raised.
func (r *Reviewer) mayFill(ctx context.Context, req *admissionv1.AdmissionRequest) bool {
	return req.Namespace == "" || req.SubResource == "scale" || r.policies.Load().Fills(req.Namespace, r.clusters.Around(ctx, req.UserInfo, false))
}

// mutate sets the policies' defaults.
func (r *Reviewer) mutate(ctx context.Context, req *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	ch, err := decodeChange(ctx, req, r.clusters)
	if err != nil {
		return nil, err
	}
	if ch == nil {
		return allowed(), nil
	}
	filled, err := r.policies.Load().Default(*ch, r.clusters.Around(ctx, req.UserInfo, false))
	if err != nil {
		return nil, err
	}
	response := allowed()
	annotate(response, "defaulted", fields(filled.Fields))
	annotate(response, "would-default", fields(filled.Reported))
	for _, f := range filled.Fields {
		defaultsTotal.WithLabelValues(f.Rule, f.Policy).Inc()
	}
	if ch.Old != nil && !ch.Scale {
		// A user who changed something else should learn what else changes in a running workload.
		for _, f := range filled.Fields {
			response.Warnings = append(response.Warnings, f.String())
		}
	}
	if len(filled.Patch) == 0 {
		return response, nil
	}
	patchType := admissionv1.PatchTypeJSONPatch
	response.PatchType = &patchType
	response.Patch, err = json.Marshal(filled.Patch)
	return response, err
}

// account records the verdict in metrics, the log, and Events on the object.
func (r *Reviewer) account(ctx context.Context, req *admissionv1.AdmissionRequest, ch *policies.Change, verdict policies.Verdict) {
	for _, f := range append(slices.Clone(verdict.Findings), verdict.Silenced...) {
		if f.Exception != "" {
			exceptionsTotal.WithLabelValues(f.Object.Namespace, f.Rule, f.Check, f.Exception).Inc()
		}
		if f.WouldDeny && !ch.DryRun {
			wouldDenyTotal.WithLabelValues(f.Object.Namespace, f.Rule, f.Check, f.Policy, string(f.Action)).Inc()
		}
	}
	if len(verdict.Findings) == 0 {
		return
	}
	log := about(logr.FromContextOrDiscard(ctx), req)
	for _, f := range verdict.Findings {
		findingsTotal.WithLabelValues(f.Rule, f.Check, f.Policy, string(f.Action)).Inc()
		log.Info("finding", "rule", f.Rule, "check", f.Check, "policy", f.Policy, "action", f.Action, "path", f.Path, "object", f.Object.String(), "note", f.Note)
		if f.Bypassed != "" {
			bypassesTotal.WithLabelValues(f.Rule, f.Policy).Inc()
		}
		reason := ""
		switch {
		case ch.DryRun:
		case f.Bypassed != "":
			reason = "Bypassed"
		case f.Action == v1alpha1.Deny:
			reason = "Denied"
		case f.Action == v1alpha1.Warn:
			reason = "Warned"
		case f.WouldDeny:
			reason = "WouldDeny"
		}
		if reason == "" {
			continue
		}
		about := ch.Object()
		regarding := &corev1.ObjectReference{
			APIVersion: f.Object.APIVersion, Kind: f.Object.Kind, Namespace: f.Object.Namespace, Name: f.Object.Name, UID: about.GetUID(),
		}
		r.events.Eventf(regarding, nil, corev1.EventTypeWarning, reason, verb(ch), "%s", shorten(fmt.Sprintf("%s: %s", cmp.Or(ch.User.Username, "somebody"), f)))
	}
}

// verb returns the action of an Event: what the request does.
func verb(ch *policies.Change) string {
	if ch.Scale {
		return "Scale"
	}
	return map[admissionv1.Operation]string{admissionv1.Create: "Create", admissionv1.Update: "Update", admissionv1.Delete: "Delete"}[ch.Operation]
}

// shorten cuts a text to the maximum length of an Event's note, in bytes.
func shorten(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func allowed() *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Allowed: true}
}

// respond converts the verdict into an admission response: denials as a Status with one cause each, warnings as warnings, and all
// findings as audit annotations.
func respond(req *admissionv1.AdmissionRequest, verdict policies.Verdict) *admissionv1.AdmissionResponse {
	response := allowed()
	for _, f := range verdict.With(v1alpha1.Warn) {
		if warning := f.String(); !slices.Contains(response.Warnings, warning) {
			response.Warnings = append(response.Warnings, warning)
		}
	}
	annotate(response, "warned", ids(verdict.With(v1alpha1.Warn)))
	annotate(response, "audited", ids(verdict.With(v1alpha1.Audit)))
	annotate(response, "denied", ids(verdict.With(v1alpha1.Deny)))
	for _, f := range verdict.Findings {
		if f.Bypassed != "" {
			annotate(response, "bypassed", fmt.Sprintf("%s of policy %s by %s: %s", f.Rule, f.Policy, req.UserInfo.Username, f.Bypassed))
		}
	}
	denials := verdict.With(v1alpha1.Deny)
	if len(denials) == 0 {
		return response
	}
	response.Allowed = false
	response.Result = &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
		Message: message(denials),
		Details: &metav1.StatusDetails{Name: req.Name, Group: req.Resource.Group, Kind: req.Resource.Resource},
	}
	if req.SubResource == "eviction" && !slices.ContainsFunc(denials, func(f policies.Finding) bool { return f.RetryAfter == 0 }) {
		// With this answer kubectl drain and similar tools wait, as they do for a PodDisruptionBudget.
		response.Result.Code, response.Result.Reason = http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests
		response.Result.Details.RetryAfterSeconds = denials[0].RetryAfter
	}
	for _, f := range denials {
		if f.Object.Kind == kinds.HorizontalPodAutoscaler.Kind {
			// kubectl autoscale hides the reason of a refusal, but prints warnings.
			f.Action = v1alpha1.Warn
			response.Warnings = append(response.Warnings, f.String())
		}
		response.Result.Details.Causes = append(response.Result.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(f.ID()), Message: f.Message, Field: f.Path,
		})
	}
	return response
}

// message returns what kubectl prints: each denial on its own lines.
func message(denials []policies.Finding) string {
	var b strings.Builder
	for i, f := range denials {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s: %s\n  Fix: %s", f.ID(), f.Message, f.Remedy)
		if f.Note != "" {
			fmt.Fprintf(&b, "\n  Note: %s", f.Note)
		}
		fmt.Fprintf(&b, "\n  Policy %s, see %s", f.Policy, f.Docs)
	}
	return b.String()
}

func annotate(response *admissionv1.AdmissionResponse, key, value string) {
	if value == "" {
		return
	}
	if response.AuditAnnotations == nil {
		response.AuditAnnotations = map[string]string{}
	}
	response.AuditAnnotations[key] = value
}

func ids(findings []policies.Finding) string {
	var all []string
	for _, f := range findings {
		all = append(all, f.ID()+"@"+f.Policy)
	}
	return strings.Join(all, ",")
}

func fields(filled []policies.FilledField) string {
	var all []string
	for _, f := range filled {
		all = append(all, fmt.Sprintf("%s=%v@%s", f.Path, f.Value, f.Policy))
	}
	return strings.Join(all, ",")
}

// deadline returns the API server's timeout for the answer. Reads get half of it, so that there is time left to answer.
func deadline(r *http.Request) time.Duration {
	const longest = 30 * time.Second
	asked, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || asked <= 0 || asked > longest {
		asked = 10 * time.Second
	}
	return asked / 2
}
