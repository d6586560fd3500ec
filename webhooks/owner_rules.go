package webhooks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/webhooks/entries"
)

// ownerKind is a kind of custom resource that owns StatefulSets or claims.
type ownerKind struct {
	schema.GroupResource
	// Paths are the fields from which an operator sets replicas. Scales means that the scale subresource shows one of them.
	Paths  []string
	Scales bool
}

// ownersWebhooks returns guard's webhook with rules for these kinds of owners and for Advanced StatefulSets, if there are any, and
// lint's webhook for the latter. It returns none without such kinds, or before guard has rules.
func ownersWebhooks(guard, lint admissionregistrationv1.ValidatingWebhook, found []ownerKind, advanced bool) []admissionregistrationv1.ValidatingWebhook {
	if len(found) == 0 && !advanced || len(guard.Rules) == 0 {
		return nil
	}
	if advanced {
		found = append(found, ownerKind{GroupResource: advancedSets, Paths: []string{"spec.replicas"}, Scales: true})
	}
	when := []string{fmt.Sprintf("request.operation == 'DELETE' ? (\n  request.resource.group != '%s' ||\n  oldObject.metadata.name in [%s]\n)",
		kinds.CustomResourceDefinition.Group, strings.Join(quoted(found), ", "))}
	when = append(when, "request.?subResource.orValue('') == 'scale' ? (\n  "+entries.LowersScale+"\n)")
	removed, lowered := map[string][]string{}, map[string][]string{}
	for _, of := range found {
		removed[of.Group] = append(removed[of.Group], of.Resource)
		if len(of.Paths) > 0 {
			lowered[of.Group] = append(lowered[of.Group], of.Resource)
			when = append(when, fmt.Sprintf("request.resource.group == '%s' && request.resource.resource == '%s' ? (\n  %s\n)", of.Group, of.Resource, lowers(of.Paths)))
		}
		if of.Scales {
			lowered[of.Group] = append(lowered[of.Group], of.Resource+"/scale")
		}
	}
	var rules []admissionregistrationv1.RuleWithOperations
	for _, group := range slices.Sorted(maps.Keys(removed)) {
		rules = append(rules, ownersRule(group, removed[group], admissionregistrationv1.Delete))
	}
	rules = append(rules, ownersRule(kinds.CustomResourceDefinition.Group, []string{kinds.CustomResourceDefinition.Resource}, admissionregistrationv1.Delete))
	for _, group := range slices.Sorted(maps.Keys(lowered)) {
		rules = append(rules, ownersRule(group, lowered[group], admissionregistrationv1.Update))
	}
	all := []admissionregistrationv1.ValidatingWebhook{webhookLike(guard, owners, rules, strings.Join(append(when, "false"), " : "))}
	if advanced {
		all = append(all, webhookLike(lint, advancedLint,
			[]admissionregistrationv1.RuleWithOperations{ownersRule(advancedSets.Group, []string{advancedSets.Resource}, admissionregistrationv1.Create, admissionregistrationv1.Update)},
			fmt.Sprintf("request.operation == 'CREATE' ||\n  object.?spec != oldObject.?spec && !(%s)", lowers([]string{"spec.replicas"}))))
	}
	return all
}

// advancedLint is the name of the webhook for creates and updates of Advanced StatefulSets.
const advancedLint = "advanced.mooring.dev"

var advancedSets = kinds.Advanced.GroupResource()

// webhookLike returns the webhook with other rules, and another condition in place of the one on its resources.
func webhookLike(w admissionregistrationv1.ValidatingWebhook, name string, rules []admissionregistrationv1.RuleWithOperations, matters string) admissionregistrationv1.ValidatingWebhook {
	like := w.DeepCopy()
	like.Name, like.Rules = name, rules
	others := slices.DeleteFunc(like.MatchConditions, func(m admissionregistrationv1.MatchCondition) bool { return m.Name == takesAway || m.Name == changed })
	like.MatchConditions = append([]admissionregistrationv1.MatchCondition{{Name: takesAway, Expression: matters}}, others...)
	return *like
}

func quoted(found []ownerKind) []string {
	var names []string
	for _, of := range found {
		names = append(names, "'"+of.String()+"'")
	}
	return names
}

func ownersRule(group string, resources []string, operations ...admissionregistrationv1.OperationType) admissionregistrationv1.RuleWithOperations {
	scope := admissionregistrationv1.AllScopes
	return admissionregistrationv1.RuleWithOperations{
		Operations: operations,
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: resources, Scope: &scope},
	}
}

// lowers is a CEL expression that is true if an update lowers the number in one of the fields, or changes the list that it is in. It
// never fails, whatever the fields contain, because that would refuse the request.
func lowers(paths []string) string {
	var any []string
	for _, path := range paths {
		path, _, listed := strings.Cut(path, "[*]")
		var all []string
		is := map[string]string{"object": "object", "oldObject": "oldObject"}
		fields := strings.Split(path, ".")
		for i, field := range fields {
			for _, o := range []string{"object", "oldObject"} {
				all = append(all, fmt.Sprintf("'%s' in %s", field, is[o]))
				is[o] += fmt.Sprintf("['%s']", field)
				switch {
				case i < len(fields)-1:
					all = append(all, fmt.Sprintf("type(%s) == map", is[o]))
				case !listed:
					all = append(all, fmt.Sprintf("(type(%[1]s) == int || type(%[1]s) == double)", is[o]))
				}
			}
		}
		less := "<"
		if listed {
			less = "!="
		}
		any = append(any, strings.Join(append(all, fmt.Sprintf("%s %s %s", is["object"], less, is["oldObject"])), " && "))
	}
	return strings.Join(any, " ||\n  ")
}
