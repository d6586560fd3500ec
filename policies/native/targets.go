package native

import (
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// target is a kind of request, with the names that expressions about it can use.
type target struct {
	name  string
	rules []admissionv1.NamedRuleWithOperations
	// deletes means that the request is a delete: there is only oldObject.
	deletes bool
	// withStatefulSets evaluates the expressions for each StatefulSet of the namespace, as params.
	withStatefulSets bool
	// older and subject are the object whose annotations and owner count, before and after the request.
	older, subject string
	variables      []admissionv1.Variable
}

// The names of the targets.
const (
	onWrite      = "write"
	onScale      = "scale"
	onLabeled    = "labeled"
	onDelete     = "delete"
	onClaims     = "claims"
	onNamespaces = "namespaces"
)

var targets = []target{
	{
		name:  onWrite,
		rules: []admissionv1.NamedRuleWithOperations{rule(appsv1.GroupName, admissionv1.NamespacedScope, "statefulsets", admissionv1.Create, admissionv1.Update)},
		older: "(oldObject == null ? object : oldObject)", subject: "object",
		variables: []admissionv1.Variable{
			{Name: "updates", Expression: "request.operation == 'UPDATE'"},
			{Name: "from", Expression: "variables.updates ? int(oldObject.spec.?replicas.orValue(1)) : 0"},
			{Name: "to", Expression: "int(object.spec.?replicas.orValue(1))"},
			{Name: "fromStart", Expression: "variables.updates ? int(oldObject.spec.?ordinals.?start.orValue(0)) : 0"},
			{Name: "toStart", Expression: "int(object.spec.?ordinals.?start.orValue(0))"},
			{Name: "stay", Expression: "[0, [variables.fromStart + variables.from, variables.toStart + variables.to].min() - [variables.fromStart, variables.toStart].max()].max()"},
			{Name: "ready", Expression: "variables.updates ? int(oldObject.?status.?readyReplicas.orValue(0)) : 0"},
			{Name: "claims", Expression: "size(object.spec.?volumeClaimTemplates.orValue([])) > 0"},
			{Name: "name", Expression: "object.metadata.?name.orValue(request.name)"},
		},
	},
	{
		name: onScale, withStatefulSets: true,
		rules: []admissionv1.NamedRuleWithOperations{rule(appsv1.GroupName, admissionv1.NamespacedScope, "statefulsets/scale", admissionv1.Update)},
		older: "params", subject: "params",
		variables: []admissionv1.Variable{
			{Name: "from", Expression: "int(oldObject.?spec.?replicas.orValue(0))"},
			{Name: "to", Expression: "int(object.?spec.?replicas.orValue(0))"},
			{Name: "stay", Expression: "[variables.from, variables.to].min()"},
			{Name: "ready", Expression: "int(params.?status.?readyReplicas.orValue(0))"},
			{Name: "name", Expression: "request.name"},
		},
	},
	{
		name: onLabeled, deletes: true,
		rules: []admissionv1.NamedRuleWithOperations{
			rule(appsv1.GroupName, admissionv1.NamespacedScope, "statefulsets", admissionv1.Delete),
			rule(corev1.GroupName, admissionv1.NamespacedScope, "persistentvolumeclaims", admissionv1.Delete),
			rule(corev1.GroupName, admissionv1.NamespacedScope, "services", admissionv1.Delete),
			rule(corev1.GroupName, admissionv1.ClusterScope, "namespaces", admissionv1.Delete),
		},
		older: "oldObject", subject: "oldObject",
	},
	{
		name: onDelete, deletes: true,
		rules: []admissionv1.NamedRuleWithOperations{rule(appsv1.GroupName, admissionv1.NamespacedScope, "statefulsets", admissionv1.Delete)},
		older: "oldObject", subject: "oldObject",
	},
	{
		name: onClaims, deletes: true, withStatefulSets: true,
		rules: []admissionv1.NamedRuleWithOperations{rule(corev1.GroupName, admissionv1.NamespacedScope, "persistentvolumeclaims", admissionv1.Delete)},
		older: "oldObject", subject: "oldObject",
	},
	{
		// The delete of a Namespace is a request in that namespace, so its StatefulSets are the parameters.
		name: onNamespaces, deletes: true, withStatefulSets: true,
		rules: []admissionv1.NamedRuleWithOperations{rule(corev1.GroupName, admissionv1.ClusterScope, "namespaces", admissionv1.Delete)},
		older: "oldObject", subject: "oldObject",
	},
}

func rule(group string, scope admissionv1.ScopeType, resource string, operations ...admissionv1.OperationType) admissionv1.NamedRuleWithOperations {
	return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: operations,
		Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: []string{resource}, Scope: &scope},
	}}
}

// operatorOwned is true of an object whose controller is a custom resource, as in package policies.
const operatorOwned = `.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) && o.apiVersion.contains('/') && o.apiVersion.split('/')[0].contains('.') && !o.apiVersion.split('/')[0].endsWith('.k8s.io'))`

// rfc3339 matches times that timestamp() can parse.
const rfc3339 = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`

// variables returns the target's own variables and, for a policy that denies, those that lower a denial.
func (e exporter) variables(t target, action v1alpha1.Action) []admissionv1.Variable {
	out := slices.Clone(t.variables)
	add := func(name, expression string) {
		out = append(out, admissionv1.Variable{Name: name, Expression: expression})
	}
	if t.name == onScale {
		concerned := []string{"params.metadata.name == request.name"}
		if e.profile == "" {
			concerned = append(concerned, selects(e.policy.Spec.Match.ObjectSelector, "params.metadata")...)
		}
		add("concerned", and(concerned))
	}
	if action == v1alpha1.Deny {
		out = append(out, e.lowering(t)...)
	}
	if t.deletes {
		add("namespaceGoes", "namespaceObject != null && has(namespaceObject.metadata.deletionTimestamp)")
	}
	return out
}

// in returns the namespace in which a right is checked.
func (e exporter) in(t target) string {
	if t.name == onNamespaces {
		return ".namespace(request.name)"
	}
	return ".namespace(request.namespace)"
}

// lowering returns the variables that turn a denial into a warning.
func (e exporter) lowering(t target) []admissionv1.Variable {
	var out []admissionv1.Variable
	add := func(name string, expression ...string) {
		out = append(out, admissionv1.Variable{Name: name, Expression: strings.Join(expression, " ")})
	}
	// Once a delete is allowed, anyone may scale down and remove what belongs to it.
	add("finishing", "namespaceObject != null && has(namespaceObject.metadata.deletionTimestamp) || has("+t.older+".metadata.deletionTimestamp)")
	add("annotations", t.subject+".metadata.?annotations.orValue({})")
	add("bypass", "variables.annotations[?"+quote(policies.BypassAnnotation)+"].orValue('').split(',').map(r, r.trim())")
	add("until", "variables.annotations[?"+quote(policies.BypassUntilAnnotation)+"].orValue('')")
	// The API server gives expressions no clock. The object's last write, which an update is itself, is the closest to one;
	// parameters have their times removed.
	add("written", t.subject+".metadata.?managedFields.orValue([]).filter(m, has(m.time)).map(m, timestamp(m.time))")
	add("mayBypass",
		"variables.annotations[?"+quote(policies.BypassReasonAnnotation)+"].orValue('').trim() != '' &&",
		"(!("+quote(policies.BypassUntilAnnotation)+" in variables.annotations) ||",
		"variables.until.matches('"+rfc3339+"') && (size(variables.written) == 0 ||",
		"timestamp(variables.until) > variables.written.max() &&",
		"timestamp(variables.until) <= variables.written.max() + duration('24h'))) &&",
		"authorizer.group('mooring.dev').resource('statefulpolicies').name("+quote(e.policy.Name)+")"+e.in(t)+".check('bypass').allowed()")
	if e.policy.Spec.OperatorOwned != v1alpha1.OperatorOwnedEnforce {
		owned := t.subject + operatorOwned
		if t.older != t.subject {
			owned = t.older + operatorOwned + " && " + owned
		}
		// CEL cannot check an operator's right for every kind, so any service account may be the operator.
		add("operatorOwned", "request.userInfo.username.startsWith('system:serviceaccount:') && "+owned)
	}
	return out
}
