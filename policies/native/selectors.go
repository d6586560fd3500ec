package native

import (
	"encoding/json"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// bindings returns the bindings of the policy for this target and action, with an empty policyName. A StatefulPolicy has one, a
// profile has one for each mode that a namespace can choose.
func (e exporter) bindings(t target, action v1alpha1.Action) []*admissionv1.ValidatingAdmissionPolicyBinding {
	if e.profile == "" {
		return []*admissionv1.ValidatingAdmissionPolicyBinding{e.binding(t, action, action, e.namespaces(), "")}
	}
	var out []*admissionv1.ValidatingAdmissionPolicyBinding
	for _, m := range []struct {
		name string
		mode v1alpha1.Mode
		want metav1.LabelSelectorRequirement
	}{
		{"enforce", v1alpha1.ModeEnforce, metav1.LabelSelectorRequirement{Key: policies.ModeLabel, Operator: metav1.LabelSelectorOpNotIn, Values: append(spellings("warn"), spellings("audit")...)}},
		{"warn", v1alpha1.ModeWarn, metav1.LabelSelectorRequirement{Key: policies.ModeLabel, Operator: metav1.LabelSelectorOpIn, Values: spellings("warn")}},
		{"audit", v1alpha1.ModeAudit, metav1.LabelSelectorRequirement{Key: policies.ModeLabel, Operator: metav1.LabelSelectorOpIn, Values: spellings("audit")}},
	} {
		namespaces := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{e.chooses(), m.want}}
		out = append(out, e.binding(t, action, lower(action, m.mode), namespaces, "-"+m.name))
	}
	return out
}

// spellings are the capitalizations of a mode. Label selectors are case-sensitive, Mooring's mode label is not.
func spellings(mode string) []string {
	return []string{mode, strings.ToUpper(mode[:1]) + mode[1:], strings.ToUpper(mode)}
}

// chooses selects the namespaces of a profile: those with its label and, for the default profile, those without the label of
// another.
func (e exporter) chooses() metav1.LabelSelectorRequirement {
	if e.profile != e.DefaultProfile {
		return metav1.LabelSelectorRequirement{Key: policies.ProfileLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{e.profile}}
	}
	others := []string{policies.ProfileOff}
	for _, name := range profiles.Names {
		if name != e.profile {
			others = append(others, name)
		}
	}
	return metav1.LabelSelectorRequirement{Key: policies.ProfileLabel, Operator: metav1.LabelSelectorOpNotIn, Values: others}
}

func (e exporter) binding(t target, of, as v1alpha1.Action, namespaces *metav1.LabelSelector, suffix string) *admissionv1.ValidatingAdmissionPolicyBinding {
	b := &admissionv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: e.meta(t.name, strings.ToLower(string(of))+suffix),
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			ValidationActions: []admissionv1.ValidationAction{admissionv1.ValidationAction(as)},
			MatchResources:    &admissionv1.MatchResources{NamespaceSelector: namespaces},
		},
	}
	if t.name != onScale && e.profile == "" {
		// A Scale does not have the labels of its StatefulSet. The variable concerned checks those.
		b.Spec.MatchResources.ObjectSelector = e.policy.Spec.Match.ObjectSelector
	}
	if t.withStatefulSets {
		b.Spec.ParamRef = &admissionv1.ParamRef{Selector: &metav1.LabelSelector{}, ParameterNotFoundAction: ptr.To(admissionv1.AllowAction)}
	}
	return b
}

// namespaces selects the namespaces of a StatefulPolicy.
func (e exporter) namespaces() *metav1.LabelSelector {
	match := e.policy.Spec.Match
	selector := &metav1.LabelSelector{}
	if match.NamespaceSelector != nil {
		selector = match.NamespaceSelector.DeepCopy()
	}
	if len(match.Exclude.Namespaces) > 0 {
		selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: namespaceNameLabel, Operator: metav1.LabelSelectorOpNotIn, Values: match.Exclude.Namespaces,
		})
	}
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		return nil
	}
	return selector
}

// selects returns a label selector as CEL expressions, all of which must be true.
func selects(s *metav1.LabelSelector, metadata string) []string {
	if s == nil {
		return nil
	}
	var parts []string
	// In a fixed order: matchLabels is a map.
	requirements := append([]metav1.LabelSelectorRequirement{}, s.MatchExpressions...)
	for _, key := range sortedKeys(s.MatchLabels) {
		requirements = append(requirements, metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{s.MatchLabels[key]}})
	}
	for _, r := range requirements {
		label := fmt.Sprintf("%s.?labels[?%s]", metadata, quote(r.Key))
		in := fmt.Sprintf("%s.hasValue() && %[1]s.value() in %s", label, quoteAll(r.Values))
		switch r.Operator {
		case metav1.LabelSelectorOpIn:
			parts = append(parts, in)
		case metav1.LabelSelectorOpNotIn:
			parts = append(parts, "!("+in+")")
		case metav1.LabelSelectorOpExists:
			parts = append(parts, label+".hasValue()")
		case metav1.LabelSelectorOpDoesNotExist:
			parts = append(parts, "!"+label+".hasValue()")
		}
	}
	return parts
}

// excludedUsers is true of a user that the policy excludes. It is empty if there are none.
func excludedUsers(x v1alpha1.Exclude) string {
	users := append([]string{}, x.Users...)
	for _, account := range x.ServiceAccounts {
		users = append(users, "system:serviceaccount:"+strings.Replace(account, "/", ":", 1))
	}
	var excluded []string
	if len(users) > 0 {
		excluded = append(excluded, "request.userInfo.username in "+quoteAll(users))
	}
	if len(x.Groups) > 0 {
		excluded = append(excluded, "request.userInfo.?groups.orValue([]).exists(g, g in "+quoteAll(x.Groups)+")")
	}
	return strings.Join(excluded, " || ")
}

func and(parts []string) string {
	if len(parts) == 0 {
		return "true"
	}
	return strings.Join(parts, " && ")
}

// quote returns a string literal. CEL reads JSON's escapes.
func quote(s string) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	// A string always encodes.
	_ = encoder.Encode(s)
	return strings.TrimSpace(out.String())
}

func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
