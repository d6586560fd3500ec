package native

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// defaultField is a field with the value that it gets if it has the API's default and nothing shows that the user wrote that.
type defaultField struct{ rule, path, current, api, value string }

// defaults returns a MutatingAdmissionPolicy with its binding for each structure that the policy has defaults for. They apply on
// create only. Mooring handles updates.
func (e exporter) defaults() []runtime.Object {
	var out []runtime.Object
	const retention = "spec.persistentVolumeClaimRetentionPolicy"
	if p := e.policy.Spec.Rules.RetentionPolicy; p != nil && p.Action != v1alpha1.Off && p.Default != nil {
		fields := compact([]defaultField{
			{"retention-policy", retention + ".whenDeleted", "object." + retention + ".whenDeleted", `"Retain"`, word(string(p.Default.WhenDeleted))},
			{"retention-policy", retention + ".whenScaled", "object." + retention + ".whenScaled", `"Retain"`, word(string(p.Default.WhenScaled))},
		})
		if len(fields) > 0 {
			out = append(out, e.mutatingPolicy("retention", "size(object.spec.?volumeClaimTemplates.orValue([])) > 0", fields)...)
		}
	}
	const strategy = "spec.updateStrategy"
	p := e.policy.Spec.Rules.UpdateStrategy
	if p == nil || p.Action == v1alpha1.Off || p.Default == nil {
		return out
	}
	if p.Default.Type == appsv1.OnDeleteStatefulSetStrategyType {
		f := defaultField{"update-strategy", strategy + ".type", "object." + strategy + ".type", `"RollingUpdate"`, `"OnDelete"`}
		// Without the rollingUpdate block the user wrote the type: the API server adds the block only with the type.
		silent := "has(object.spec.updateStrategy.rollingUpdate) && !(" + spoke("update-strategy", strategy+".rollingUpdate") + ")"
		out = append(out, e.mutatingPolicy("strategy", silent, []defaultField{f})...)
		return out
	}
	rolling := "object." + strategy + ".rollingUpdate"
	fields := []defaultField{}
	if v := p.Default.Partition; v != nil {
		fields = append(fields, defaultField{"update-strategy", strategy + ".rollingUpdate.partition", rolling + ".partition", "0", fmt.Sprint(*v)})
	}
	if v := p.Default.MaxUnavailable; v != nil {
		value := fmt.Sprint(v.IntVal)
		if v.Type == intstr.String {
			value = quote(v.StrVal)
		}
		fields = append(fields, defaultField{"update-strategy", strategy + ".rollingUpdate.maxUnavailable", rolling + ".maxUnavailable", "1", value})
	}
	if fields = compact(fields); len(fields) > 0 {
		out = append(out, e.mutatingPolicy("strategy", "has("+rolling+")", fields)...)
	}
	return out
}

// compact drops the fields without a default, and those whose default is the API server's own.
func compact(fields []defaultField) []defaultField {
	return slices.DeleteFunc(fields, func(f defaultField) bool { return f.value == "" || f.value == f.api })
}

func word(s string) string {
	if s == "" {
		return ""
	}
	return quote(s)
}

func (e exporter) mutatingPolicy(name, condition string, fields []defaultField) []runtime.Object {
	var silences, patches []string
	for _, f := range fields {
		// Optional, because servers that do not know a field such as maxUnavailable do not store it.
		optional := "object" + strings.ReplaceAll(strings.TrimPrefix(f.current, "object"), ".", ".?")
		silent := fmt.Sprintf("(%s.orValue(%s) == %[2]s && !(%[3]s))", optional, f.api, spoke(f.rule, f.path))
		silences = append(silences, silent)
		value := f.value
		pointer := "/" + strings.ReplaceAll(f.path, ".", "/")
		if strings.HasSuffix(f.path, "updateStrategy.type") {
			// The API server refuses rolling update parameters with another type.
			pointer, value = "/spec/updateStrategy", "Object.spec.updateStrategy{type: "+f.value+"}"
		}
		patches = append(patches, fmt.Sprintf("(%s ? [JSONPatch{op: \"add\", path: %s, value: %s}] : [])", silent, quote(pointer), value))
	}
	conditions := []admissionv1.MatchCondition{
		{Name: "silent", Expression: fmt.Sprintf("(%s) && (%s)", condition, strings.Join(silences, " || "))},
	}
	if e.policy.Spec.OperatorOwned != v1alpha1.OperatorOwnedEnforce {
		conditions = append(conditions, admissionv1.MatchCondition{Name: "not-an-operators", Expression: "!object" + operatorOwned})
	}
	if excluded := excludedUsers(e.policy.Spec.Match.Exclude); excluded != "" {
		conditions = append(conditions, admissionv1.MatchCondition{Name: "not-excluded", Expression: "!(" + excluded + ")"})
	}
	ignore := admissionv1.Ignore
	policy := &admissionv1.MutatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "MutatingAdmissionPolicy"},
		ObjectMeta: e.meta("defaults", name),
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			FailurePolicy:      &ignore,
			ReinvocationPolicy: admissionv1.IfNeededReinvocationPolicy,
			MatchConstraints: e.constraints(target{rules: []admissionv1.NamedRuleWithOperations{
				rule(appsv1.GroupName, admissionv1.NamespacedScope, "statefulsets", admissionv1.Create),
			}}),
			MatchConditions: conditions,
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeJSONPatch,
				JSONPatch: &admissionv1.JSONPatch{Expression: strings.Join(patches, " + ")},
			}},
		},
	}
	namespaces := e.namespaces()
	if e.profile != "" {
		namespaces = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			e.chooses(), {Key: policies.ModeLabel, Operator: metav1.LabelSelectorOpNotIn, Values: spellings("audit")},
		}}
	}
	return []runtime.Object{policy, &admissionv1.MutatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "MutatingAdmissionPolicyBinding"},
		ObjectMeta: policy.ObjectMeta,
		Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{
			PolicyName:     policy.Name,
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: namespaces, ObjectSelector: e.policy.Spec.Match.ObjectSelector},
		},
	}}
}

// spoke is true if the user of a new object wrote the field or opted out of the rule's defaults. The field is then in the managed
// fields of a server-side apply, or its name is in the annotation of a client-side apply.
func spoke(rule, path string) string {
	owned := "m.fieldsV1"
	for name := range strings.SplitSeq(path, ".") {
		owned += "[?" + quote("f:"+name) + "]"
	}
	last := path[strings.LastIndex(path, ".")+1:]
	if last == "type" {
		// Too many fields have this name.
		last = "updateStrategy"
	}
	return strings.Join([]string{
		fmt.Sprintf("object.metadata.?annotations[?%s].orValue('').split(',').exists(r, r.trim() == %s)", quote(policies.KeepAnnotation), quote(rule)),
		fmt.Sprintf("object.metadata.?annotations[?%s].orValue('').contains(%s)", quote("kubectl.kubernetes.io/last-applied-configuration"), quote(quote(last)+":")),
		fmt.Sprintf("object.metadata.?managedFields.orValue([]).exists(m, m.?operation.orValue('') == 'Apply' && has(m.fieldsV1) && %s.hasValue())", owned),
	}, " || ")
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
