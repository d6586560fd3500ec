package entries_test

import (
	"slices"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/webhooks/entries"
)

// TestEveryRuleIsAsked: the API server asks about each kind and operation that a rule judges. Which of these requests matter is
// tested where the chart is rendered, with the API server's own code.
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
				// About owners the API server asks where there are some: see the registration of mooring-owners.
				if want := trigger.Kind != kinds.Deployment && slices.Contains(kinds.All, trigger.Kind); asked != want {
					t.Errorf("%s: %s of a %s is asked about: %v, want %v", rule.ID, operation, trigger.Kind.Kind, asked, want)
				}
			}
		}
	}
}
