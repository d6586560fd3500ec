package webhooks

import (
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// judgePolicy answers a change to a StatefulPolicy: one that could not be used, or asks for what it forbids, is refused
// before somebody relies on it, and who deletes one that refuses things is told what that leaves unguarded.
func judgePolicy(req *admissionv1.AdmissionRequest, older, newer policies.Object) *admissionv1.AdmissionResponse {
	response := allowed()
	if policy, ok := newer.(*v1alpha1.StatefulPolicy); ok {
		if _, err := policies.Compile([]v1alpha1.StatefulPolicy{*policy}, policies.ProfileOff); err != nil {
			response.Allowed = false
			// kubectl shows of an Invalid one only its causes, which an error from several fields does not come apart into.
			response.Result = &metav1.Status{
				Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: err.Error(),
			}
		}
		return response
	}
	policy, ok := older.(*v1alpha1.StatefulPolicy)
	if ok && (policy.Spec.Mode == "" || policy.Spec.Mode == v1alpha1.ModeEnforce) {
		response.Warnings = []string{fmt.Sprintf(
			"StatefulPolicy %s is in force: what it refused is allowed from now on, but for what other policies and the profiles refuse.", policy.Name)}
	}
	return response
}
