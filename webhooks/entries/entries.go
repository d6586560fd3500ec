// Package entries defines the requests for which the API server calls Mooring: the rules and conditions of its three webhooks,
// derived from what the rules judge. The chart uses them.
package entries

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Entry is one webhook of a webhook configuration.
type Entry struct {
	Rules []admissionregistrationv1.RuleWithOperations `json:"rules"`
	// When is a CEL expression, true of the requests to judge. It must never fail, because with failurePolicy Fail an error refuses
	// the request. So it checks the resource before it reads a field (object is null in a DELETE, oldObject in a CREATE), and reads
	// optional fields as object.spec.?field.
	When string `json:"when"`
}

// Entries are Mooring's webhooks.
type Entries struct {
	// Defaults sets the policies' defaults.
	Defaults Entry `json:"defaults"`
	// Lint judges creates and updates. If Mooring does not answer, the API server allows the request.
	Lint Entry `json:"lint"`
	// Guard judges what cannot be undone. If Mooring does not answer, the API server refuses the request.
	Guard Entry `json:"guard"`
}

// call is a kind of request.
type call struct {
	kind        *kinds.Kind
	subresource string
	operation   admissionv1.Operation
}

// condition is a CEL expression; the constants need none.
type condition string

const (
	always condition = "true"
	never  condition = "false"
)

// For returns the entries with which the rules see every request that they judge.
func For(rules []policies.Rule) Entries {
	var judged, filled []call
	for _, rule := range rules {
		for _, trigger := range rule.On {
			if trigger.FilesOnly {
				continue
			}
			for _, operation := range trigger.Operations {
				calls := withSubresources(call{trigger.Kind, "", operation})
				if len(rule.Checks) > 0 {
					judged = append(judged, calls...)
				}
				if rule.Writes() {
					filled = append(filled, calls...)
				}
			}
		}
	}
	entries := Entries{
		Defaults: entry(filled, fills),
		Lint:     entry(judged, lints),
		Guard:    entry(judged, guards),
	}
	// An invalid policy is refused before anyone relies on it.
	entries.Lint.Rules = append(entries.Lint.Rules, admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update, admissionregistrationv1.Delete},
		Rule:       rule(v1alpha1.GroupVersion.Group, v1alpha1.GroupVersion.Version, "statefulpolicies", admissionregistrationv1.ClusterScope),
	})
	return entries
}

// withSubresources returns the call, and the calls for the same change through a subresource.
func withSubresources(c call) []call {
	switch {
	case c.kind == kinds.StatefulSet && c.operation == admissionv1.Update:
		return []call{c, {c.kind, "scale", admissionv1.Update}}
	case c.kind == kinds.Pod && c.operation == admissionv1.Delete:
		return []call{c, {c.kind, "eviction", admissionv1.Create}}
	}
	return []call{c}
}

// entry returns the entry for the calls whose condition is not never.
func entry(calls []call, when func(call) condition) Entry {
	var e Entry
	var branches []string
	for _, kind := range kinds.All {
		for _, subresource := range []string{"", "scale", "eviction"} {
			var operations []admissionregistrationv1.OperationType
			for _, operation := range []admissionv1.Operation{admissionv1.Create, admissionv1.Update, admissionv1.Delete} {
				c := call{kind, subresource, operation}
				if !slices.Contains(calls, c) || when(c) == never {
					continue
				}
				operations = append(operations, admissionregistrationv1.OperationType(operation))
				if condition := when(c); condition != always {
					branches = append(branches, fmt.Sprintf("%s ? (\n%s\n)", c.test(), indented(condition)))
				}
			}
			if operations != nil {
				e.add(kind, subresource, operations)
			}
		}
	}
	e.When = strings.Join(append(branches, string(always)), " : ")
	return e
}

// add adds a rule, or adds the resource to the previous rule if all else is equal.
func (e *Entry) add(kind *kinds.Kind, subresource string, operations []admissionregistrationv1.OperationType) {
	resource := kind.Resource
	if subresource != "" {
		resource += "/" + subresource
	}
	scope := admissionregistrationv1.NamespacedScope
	if !kind.Namespaced {
		scope = admissionregistrationv1.ClusterScope
	}
	for i := range e.Rules {
		same := &e.Rules[i]
		if slices.Equal(same.Operations, operations) && same.APIGroups[0] == kind.Group && same.APIVersions[0] == kind.Version && *same.Scope == scope {
			same.Resources = append(same.Resources, resource)
			return
		}
	}
	e.Rules = append(e.Rules, admissionregistrationv1.RuleWithOperations{Operations: operations, Rule: rule(kind.Group, kind.Version, resource, scope)})
}

func rule(group, version, resource string, scope admissionregistrationv1.ScopeType) admissionregistrationv1.Rule {
	return admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}, Scope: &scope}
}

// test is true of requests that are such a call.
func (c call) test() string {
	test := fmt.Sprintf("request.resource.resource == '%s' && request.operation == '%s'", c.kind.Resource, c.operation)
	if c.kind == kinds.StatefulSet && c.operation == admissionv1.Update {
		test += fmt.Sprintf(" && request.?subResource.orValue('') == '%s'", c.subresource)
	}
	return test
}

func indented(c condition) string {
	return "  " + strings.ReplaceAll(string(c), "\n", "\n  ")
}
