package entries_test

import (
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/webhooks/entries"
)

// TestEveryRuleIsAsked checks that the API server calls Mooring for each kind and operation that a rule judges. Which of these
// requests matter is tested on the rendered chart, with the API server's own code.
func TestEveryRuleIsAsked(t *testing.T) {
	all := entries.For(rules.All)
	for _, rule := range rules.All {
		in := []entries.Entry{all.Lint, all.Guard}
		if len(rule.Checks) == 0 {
			in = []entries.Entry{all.Defaults}
		}
		for _, trigger := range rule.On {
			if trigger.FilesOnly {
				continue
			}
			for _, operation := range trigger.Operations {
				asked := slices.ContainsFunc(in, func(e entries.Entry) bool {
					return slices.ContainsFunc(e.Rules, func(r admissionregistrationv1.RuleWithOperations) bool {
						return r.APIGroups[0] == trigger.Kind.Group && slices.Contains(r.Resources, trigger.Kind.Resource) &&
							slices.Contains(r.Operations, admissionregistrationv1.OperationType(operation))
					})
				})
				// For owners the API server calls only if there are any: see the registration of mooring-owners.
				if want := trigger.Kind != kinds.Deployment && slices.Contains(kinds.All, trigger.Kind); asked != want {
					t.Errorf("%s: %s of a %s is asked about: %v, want %v", rule.ID, operation, trigger.Kind.Kind, asked, want)
				}
			}
		}
	}
}

// TestGuardHoldsWhatBaselineDenies checks that baseline can refuse a request of each kind that guard judges, because guard refuses
// them all if Mooring does not answer.
func TestGuardHoldsWhatBaselineDenies(t *testing.T) {
	var baseline v1alpha1.Rules
	for _, rule := range rules.All {
		rule.Enable(policies.Baseline, &baseline)
	}
	for _, guarded := range entries.For(rules.All).Guard.Rules {
		for _, resource := range guarded.Resources {
			for _, operation := range guarded.Operations {
				resource, subresource, _ := strings.Cut(resource, "/")
				denies := slices.ContainsFunc(rules.All, func(rule policies.Rule) bool {
					return rule.Action(&baseline) == v1alpha1.Deny && slices.ContainsFunc(rule.On, func(trigger policies.Trigger) bool {
						return trigger.Kind.Group == guarded.APIGroups[0] && trigger.Kind.Resource == resource &&
							slices.Contains(trigger.Operations, admissionv1.Operation(operation))
					})
				})
				if !denies {
					t.Errorf("%s of %s %s is refused while no replica answers, although baseline never refuses it", operation, resource, subresource)
				}
			}
		}
	}
}
