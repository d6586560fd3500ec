package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The paths of the webhooks.
const (
	MutatePath   = "/mutate"
	ValidatePath = "/validate"
)

// maxBody is the maximum size of a review, in bytes. The API server limits objects to 3 MiB, and an update has two.
const maxBody = 7 << 20

// Handler serves the reviews. A review that cannot be judged gets an HTTP error, never a refusal, so that the webhook's failure
// policy decides.
func (r *Reviewer) Handler(log logr.Logger) http.Handler {
	mux := http.NewServeMux()
	gate := newGate()
	mux.Handle("POST "+MutatePath, webhook{"mutate", log.WithValues("webhook", "mutate"), gate, r.mayFill, r.mutate})
	mux.Handle("POST "+ValidatePath, webhook{"validate", log.WithValues("webhook", "validate"), gate, always, r.validate})
	return mux
}

// webhook is one of the two webhook handlers.
type webhook struct {
	name string
	log  logr.Logger
	gate gate
	// wanted reports, from all of a request but its objects, whether they can make a difference. If not, they are not read and the
	// request is allowed.
	wanted func(context.Context, *admissionv1.AdmissionRequest) bool
	// judge answers a request. If it also returns an error, the answer is sent instead of an HTTP error.
	judge func(context.Context, *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error)
}

func always(context.Context, *admissionv1.AdmissionRequest) bool { return true }

// refused is an HTTP error: its status and the reason.
type refused struct {
	status int
	error
}

// ServeHTTP answers one review.
func (h webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	answer, outcome, err := h.answer(r)
	reviewSeconds.WithLabelValues(h.name).Observe(time.Since(start).Seconds())
	reviewsTotal.WithLabelValues(h.name, outcome).Inc()
	if err != nil {
		status := http.StatusInternalServerError
		if no := (refused{}); errors.As(err, &no) {
			status = no.status
		}
		http.Error(w, "mooring: "+err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	if _, err := w.Write(answer); err != nil {
		h.log.V(1).Info("the API server did not wait for the answer", "error", err.Error())
	}
}

// answer returns the body to send, and the outcome as a label for the metrics.
func (h webhook) answer(r *http.Request) (body []byte, outcome string, err error) {
	var uid types.UID
	defer func() {
		if p := recover(); p != nil {
			panicsTotal.WithLabelValues(h.name).Inc()
			h.log.Error(fmt.Errorf("%v", p), "a rule panicked", "uid", uid, "stack", string(debug.Stack()))
			outcome, err = "error", errors.New("internal error; see Mooring's log")
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), deadline(r))
	defer cancel()
	request, unwanted, leave, err := h.read(ctx, r)
	if err != nil {
		return nil, "invalid", err
	}
	defer leave()
	req := request.Request
	uid = req.UID
	response := allowed()
	if !unwanted {
		response, err = h.judge(logr.NewContext(ctx, h.log), req)
	}
	var bad badRequest
	switch {
	case errors.As(err, &bad):
		about(h.log, req).Info("cannot judge the request", "reason", err.Error())
		return nil, "invalid", refused{http.StatusBadRequest, err}
	case err != nil:
		about(h.log, req).Error(err, "cannot judge the request", "askedAgain", response != nil)
		if response == nil {
			return nil, "error", err
		}
		outcome = "error"
	case response.Allowed:
		outcome = "allowed"
	default:
		outcome = "denied"
	}
	if verbose := h.log.V(1); verbose.Enabled() {
		about(verbose, req).Info("judged", "outcome", outcome, "warnings", len(response.Warnings), "patch", len(response.Patch) > 0)
	}
	response.UID = uid
	body, err = json.Marshal(admissionv1.AdmissionReview{TypeMeta: request.TypeMeta, Response: response})
	return body, outcome, err
}

// about adds the request to the log's lines. This is expensive, so it happens only when a line is written.
func about(log logr.Logger, req *admissionv1.AdmissionRequest) logr.Logger {
	return log.WithValues("uid", req.UID, "operation", req.Operation, "resource", req.Resource.Resource,
		"subresource", req.SubResource, "namespace", req.Namespace, "name", req.Name, "user", req.UserInfo.Username)
}

// bodies are buffers for reviews. Decoded objects do not refer to them.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read reads the review from the HTTP request once the gate admits it. It stops at the objects if they are not needed. The caller
// must leave the gate.
func (h webhook) read(ctx context.Context, r *http.Request) (request *admissionv1.AdmissionReview, unwanted bool, leave func(), err error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, false, nil, refused{http.StatusUnsupportedMediaType, fmt.Errorf("Content-Type is %q, want application/json", r.Header.Get("Content-Type"))}
	}
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	_, err = body.ReadFrom(http.MaxBytesReader(nil, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, false, nil, refused{http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return nil, false, nil, refused{http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)}
	}
	if leave, err = h.gate.enter(ctx, body.Len()); err != nil {
		return nil, false, nil, err
	}
	wanted := func(req *admissionv1.AdmissionRequest) bool { return h.wanted(ctx, req) }
	if request, unwanted, err = decodeReview(body.Bytes(), wanted); err != nil {
		leave()
		return nil, false, nil, refused{http.StatusBadRequest, err}
	}
	return request, unwanted, leave, nil
}
