package webhooks

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// judgePolicy answers a change to a StatefulPolicy: one that could not be used, or asks for what it forbids, is refused
// before somebody relies on it, and who takes a rule away by which one refuses things is told what that leaves unguarded.
func judgePolicy(older, newer kinds.Object) *admissionv1.AdmissionResponse {
	response := allowed()
	var after []string
	if policy, ok := newer.(*v1alpha1.StatefulPolicy); ok {
		if policy.Name == probeName {
			return judgeProbe()
		}
		if _, err := policies.Compile(rules.All, []v1alpha1.StatefulPolicy{*policy}, policies.ProfileOff); err != nil {
			response.Allowed = false
			// kubectl shows of an Invalid one only its causes, which an error from several fields does not come apart into.
			response.Result = &metav1.Status{
				Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: err.Error(),
			}
			return response
		}
		after = policies.Denies(rules.All, policy)
	}
	if policy, ok := older.(*v1alpha1.StatefulPolicy); ok {
		gone := slices.DeleteFunc(policies.Denies(rules.All, policy), func(id string) bool { return slices.Contains(after, id) })
		if len(gone) > 0 {
			response.Warnings = []string{fmt.Sprintf(
				"StatefulPolicy %s does not refuse anything by %s any more: that is allowed from now on, but for what other policies and the profiles refuse.",
				policy.Name, strings.Join(gone, ", "))}
		}
	}
	return response
}
