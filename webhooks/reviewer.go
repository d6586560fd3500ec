// Package webhooks turns AdmissionReviews into changes, has the policies judge them, and answers: yes, no and why not, or
// yes with a patch.
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

// Reviewer answers admission requests by the policies of the moment.
type Reviewer struct {
	// AskAgain has who takes something away while the cluster cannot be read be asked to try again, which kubectl and
	// client-go do by themselves. It is for a guard that fails closed: the request would be refused anyway, and for good.
	AskAgain bool

	policies atomic.Pointer[policies.Set]
	clusters Clusters
	events   events.EventRecorder
}

// Clusters is the cluster that a Reviewer looks at, for one request after another.
type Clusters interface {
	// Around returns what the rules may ask for one request of the user's: as a cache has it or, live, as it is.
	Around(ctx context.Context, user authenticationv1.UserInfo, live bool) policies.Cluster
	// Scaled returns the StatefulSet that a request to scale is about, as new as resourceVersion or newer.
	Scaled(ctx context.Context, key client.ObjectKey, resourceVersion string) (*appsv1.StatefulSet, error)
	// Custom returns what may be known of a custom resource of which a Scale has this metadata: at least its kind.
	Custom(ctx context.Context, of schema.GroupVersionResource, meta metav1.ObjectMeta) (*kinds.Custom, error)
	// Pod returns the Pod as it is.
	Pod(ctx context.Context, key client.ObjectKey) (*corev1.Pod, error)
}

// NewReviewer returns a Reviewer that leaves Events through recorder. It has no policies yet: see PolicyLoader.
func NewReviewer(clusters Clusters, recorder events.EventRecorder) *Reviewer {
	return &Reviewer{clusters: clusters, events: recorder}
}

// validate judges the request by every rule.
func (r *Reviewer) validate(ctx context.Context, req *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	ch, err := decodeChange(ctx, req, r.clusters)
	switch bad := (badRequest{}); {
	case errors.As(err, &bad):
		return nil, err
	case err != nil && ch != nil && !ch.Destructive():
		return nil, err
	case err != nil:
		// Only what scales or evicts is looked up.
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
		// What Pods it meets, rules ask again.
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
		// The cache may be behind: what is refused is refused for what is there now.
		live = verdict.Denied()
	}
	if live {
		// Several rules and policies ask the same, and each answer is a request.
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

// unread answers a request that only guard sends, and that cannot be judged because of err. Whatever guard lets through it has
// read about, so the answer is no; that it may be another one in a second is what an HTTP error cannot tell a client.
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

// mayFill tells whether any policy has something to fill in where the request goes, which most do not. A volume says in
// itself where it goes, and of a Scale what is asked for may be raised.
func (r *Reviewer) mayFill(ctx context.Context, req *admissionv1.AdmissionRequest) bool {
	return req.Namespace == "" || req.SubResource == "scale" || r.policies.Load().Fills(req.Namespace, r.clusters.Around(ctx, req.UserInfo, false))
}

// mutate fills in the policies' defaults.
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
		// Whoever changed something else should hear what else changes in what runs.
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

// account leaves traces of the verdict: metrics, a log line, and Events on the object for whoever looks at it later.
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

// verb is the action an Event names: what was asked for.
func verb(ch *policies.Change) string {
	if ch.Scale {
		return "Scale"
	}
	return map[admissionv1.Operation]string{admissionv1.Create: "Create", admissionv1.Update: "Update", admissionv1.Delete: "Delete"}[ch.Operation]
}

// shorten cuts a text to what an Event's note may hold, in bytes.
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

// respond writes the verdict as an admission response: denials as a Status with one cause each, warnings as warnings, and
// all of them as audit annotations.
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
		// By this answer kubectl drain and its like wait, as they do for a PodDisruptionBudget.
		response.Result.Code, response.Result.Reason = http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests
		response.Result.Details.RetryAfterSeconds = denials[0].RetryAfter
	}
	for _, f := range denials {
		if f.Object.Kind == kinds.HorizontalPodAutoscaler.Kind {
			// kubectl autoscale drops the reason of a refusal, and prints warnings.
			f.Action = v1alpha1.Warn
			response.Warnings = append(response.Warnings, f.String())
		}
		response.Result.Details.Causes = append(response.Result.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(f.ID()), Message: f.Message, Field: f.Path,
		})
	}
	return response
}

// message is what kubectl prints: each denial in lines of its own, readable without scrolling.
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

// deadline is when the API server stops waiting for the answer; reads may take half of the time until then, so that what
// they find can still be said.
func deadline(r *http.Request) time.Duration {
	const longest = 30 * time.Second
	asked, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || asked <= 0 || asked > longest {
		asked = 10 * time.Second
	}
	return asked / 2
}
