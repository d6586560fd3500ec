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

// ownerKind is a kind of custom resources that own StatefulSets or claims.
type ownerKind struct {
	schema.GroupResource
	// Paths are the fields from which an operator takes replicas. Scales tells that the scale subresource shows one of them.
	Paths  []string
	Scales bool
}

// ownersWebhook returns guard's webhook with rules for these kinds of owners; none where there are none, or guard calls nobody yet.
func ownersWebhook(guard admissionregistrationv1.ValidatingWebhook, found []ownerKind) []admissionregistrationv1.ValidatingWebhook {
	if len(found) == 0 || len(guard.Rules) == 0 {
		return nil
	}
	w := guard.DeepCopy()
	w.Name, w.Rules = owners, nil
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
	for _, group := range slices.Sorted(maps.Keys(removed)) {
		w.Rules = append(w.Rules, ownersRule(admissionregistrationv1.Delete, group, removed[group]))
	}
	w.Rules = append(w.Rules, ownersRule(admissionregistrationv1.Delete, kinds.CustomResourceDefinition.Group, []string{kinds.CustomResourceDefinition.Resource}))
	for _, group := range slices.Sorted(maps.Keys(lowered)) {
		w.Rules = append(w.Rules, ownersRule(admissionregistrationv1.Update, group, lowered[group]))
	}
	takes := admissionregistrationv1.MatchCondition{Name: takesAway, Expression: strings.Join(append(when, "false"), " : ")}
	w.MatchConditions = append([]admissionregistrationv1.MatchCondition{takes}, slices.DeleteFunc(w.MatchConditions, func(m admissionregistrationv1.MatchCondition) bool {
		return m.Name == takesAway
	})...)
	return []admissionregistrationv1.ValidatingWebhook{*w}
}

func quoted(found []ownerKind) []string {
	var names []string
	for _, of := range found {
		names = append(names, "'"+of.String()+"'")
	}
	return names
}

func ownersRule(operation admissionregistrationv1.OperationType, group string, resources []string) admissionregistrationv1.RuleWithOperations {
	scope := admissionregistrationv1.AllScopes
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{operation},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: resources, Scope: &scope},
	}
}

// lowers is a CEL expression that is true where an update lowers the number in one of the fields. It never errs, whatever an object has in
// their place, as that would refuse the request.
func lowers(paths []string) string {
	var any []string
	for _, path := range paths {
		var all []string
		is := map[string]string{"object": "object", "oldObject": "oldObject"}
		fields := strings.Split(path, ".")
		for i, field := range fields {
			for _, o := range []string{"object", "oldObject"} {
				all = append(all, fmt.Sprintf("'%s' in %s", field, is[o]))
				is[o] += fmt.Sprintf("['%s']", field)
				if i < len(fields)-1 {
					all = append(all, fmt.Sprintf("type(%s) == map", is[o]))
				} else {
					all = append(all, fmt.Sprintf("(type(%[1]s) == int || type(%[1]s) == double)", is[o]))
				}
			}
		}
		any = append(any, strings.Join(append(all, is["object"]+" < "+is["oldObject"]), " && "))
	}
	return strings.Join(any, " ||\n  ")
}
