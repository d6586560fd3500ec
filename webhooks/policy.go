package webhooks

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

// judgePolicy judges a change to a StatefulPolicy. It refuses an invalid policy, or one that contradicts itself, and warns if the
// change leaves something unguarded.
func judgePolicy(set *policies.Set, older, newer kinds.Object, now time.Time) *admissionv1.AdmissionResponse {
	response := allowed()
	before, _ := older.(*v1alpha1.StatefulPolicy)
	after, _ := newer.(*v1alpha1.StatefulPolicy)
	if after != nil {
		if after.Name == probeName {
			return judgeProbe()
		}
		if _, err := policies.Compile(rules.All, []v1alpha1.StatefulPolicy{*after}, policies.ProfileOff); err != nil {
			response.Allowed = false
			// For an Invalid status, kubectl shows only the causes, so each error needs its own.
			response.Result = &metav1.Status{
				Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: err.Error(),
			}
			return response
		}
	}
	if gone := set.Unguarded(before, after, now); len(gone) > 0 {
		name := cmp.Or(before, after).Name
		response.Warnings = []string{fmt.Sprintf("Requests that StatefulPolicy %s matches are no longer refused by %s, unless another policy or the namespace's profile refuses them.",
			name, words.List(gone))}
	}
	return response
}
