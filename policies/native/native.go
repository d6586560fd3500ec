// Package native expresses part of the policies as ValidatingAdmissionPolicies and MutatingAdmissionPolicies. With them the API
// server still refuses the worst requests while no webhook answers, or after its configuration was deleted.
//
// The server judges the request and the StatefulSets of its namespace, which are the policies' parameters. It allows what it cannot
// judge: nothing here refuses a request that the rules allow.
package native

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Options selects what to export.
type Options struct {
	// Policies are the StatefulPolicies to export, as in a cluster.
	Policies []v1alpha1.StatefulPolicy
	// Profiles are the profiles to export for the namespaces labeled with them: baseline, restricted.
	Profiles []string
	// DefaultProfile applies to namespaces without the label. It is off or one of Profiles.
	DefaultProfile string
	// ExcludedNamespaces are never judged.
	ExcludedNamespaces []string
	// Controllers are the users whose deletes are never judged.
	Controllers []string
	// Defaults also exports MutatingAdmissionPolicies.
	Defaults bool
}

// DefaultExcludedNamespaces are the namespaces that a cluster needs to start, and Mooring's own.
var DefaultExcludedNamespaces = append(policies.ExcludedNamespaces(), "mooring-system")

// ProfileOfLabel is the label of exported objects that names the profile they come from.
const ProfileOfLabel = "mooring.dev/exported-profile"

// The conditions and labels with which an installer finds what to adapt.
const (
	// controllersCondition is the matchCondition that excludes Controllers.
	controllersCondition = "not-by-controller"
	nameLabel            = "app.kubernetes.io/name"
	namespaceNameLabel   = corev1.LabelMetadataName
)

// Export returns the objects, each policy before its bindings. The error names the policy or profile that cannot be used.
func Export(o Options) ([]runtime.Object, error) {
	if _, err := policies.Compile(rules.All, o.Policies, cmp.Or(o.DefaultProfile, policies.ProfileOff)); err != nil {
		return nil, err
	}
	if o.DefaultProfile != policies.ProfileOff && o.DefaultProfile != "" && !slices.Contains(o.Profiles, o.DefaultProfile) {
		return nil, fmt.Errorf("the default profile %q is not among the exported profiles %q", o.DefaultProfile, o.Profiles)
	}
	var out []runtime.Object
	for i := range o.Policies {
		e := exporter{Options: o, policy: &o.Policies[i], prefix: "mooring-policy-" + o.Policies[i].Name}
		out = append(out, e.export()...)
	}
	for _, name := range o.Profiles {
		profile, err := profiles.Load(name)
		if err != nil {
			return nil, err
		}
		e := exporter{Options: o, policy: profile, prefix: "mooring-profile-" + name, profile: name}
		out = append(out, e.export()...)
	}
	return out, nil
}

// exporter exports one policy.
type exporter struct {
	Options
	policy *v1alpha1.StatefulPolicy
	// prefix begins the names of the exported objects; profile is set if the policy is a profile.
	prefix, profile string
}

func (e exporter) export() []runtime.Object {
	var out []runtime.Object
	checks := checksOf(e.policy)
	for _, t := range targets {
		for _, action := range []v1alpha1.Action{v1alpha1.Deny, v1alpha1.Warn, v1alpha1.Audit} {
			validations := e.validations(t, action, checks)
			if len(validations) == 0 {
				continue
			}
			policy := e.validatingPolicy(t, action, validations)
			out = append(out, policy)
			for _, b := range e.bindings(t, action) {
				b.Spec.PolicyName = policy.Name
				out = append(out, b)
			}
		}
	}
	if e.Defaults && e.mode() != v1alpha1.ModeAudit {
		out = append(out, e.defaults()...)
	}
	return out
}

func (e exporter) mode() v1alpha1.Mode { return cmp.Or(e.policy.Spec.Mode, v1alpha1.ModeEnforce) }

func (e exporter) meta(parts ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Name:   strings.Join(append([]string{e.prefix}, parts...), "-"),
		Labels: map[string]string{nameLabel: "mooring"},
	}
	if e.profile != "" {
		m.Labels[ProfileOfLabel] = e.profile
	}
	return m
}

// lower returns the action that a mode leaves of another.
func lower(action v1alpha1.Action, mode v1alpha1.Mode) v1alpha1.Action {
	switch {
	case action == v1alpha1.Off:
		return action
	case mode == v1alpha1.ModeAudit:
		return v1alpha1.Audit
	case mode == v1alpha1.ModeWarn && action == v1alpha1.Deny:
		return v1alpha1.Warn
	}
	return action
}

// validations returns the policy's validations for this target and action. If an operator, a bypass or the ratchet lowers a denial
// to a warning, Mooring gives that warning.
func (e exporter) validations(t target, action v1alpha1.Action, checks []check) []admissionv1.Validation {
	var out []admissionv1.Validation
	for _, c := range checks {
		if c.target != t.name || lower(c.action, e.mode()) != action {
			continue
		}
		fails, whose := "!("+c.holds+")", " (policy "+e.policy.Name+")"
		if action == v1alpha1.Deny {
			fails += " || " + e.lowered(c)
			whose += fmt.Sprintf(" To bypass the policy, if you may, set the annotations %s=%s and %s.",
				policies.BypassAnnotation, c.rule, policies.BypassReasonAnnotation)
		}
		reason := metav1.StatusReasonForbidden
		out = append(out, admissionv1.Validation{
			Expression:        fails,
			MessageExpression: fmt.Sprintf("%s + %s + %s", quote(c.rule+"/"+c.name+": "), c.message, quote(whose)),
			Reason:            &reason,
		})
	}
	return out
}

// lowered is the expression for when a denial becomes a warning.
func (e exporter) lowered(c check) string {
	reasons := []string{"variables.finishing", fmt.Sprintf("(variables.bypass.exists(r, r == %s) && variables.mayBypass)", quote(c.rule))}
	if e.policy.Spec.OperatorOwned != v1alpha1.OperatorOwnedEnforce {
		reasons = append(reasons, "variables.operatorOwned")
	}
	if c.standing != "" {
		reasons = append(reasons, "("+c.standing+")")
	}
	return strings.Join(reasons, " || ")
}

func (e exporter) validatingPolicy(t target, action v1alpha1.Action, validations []admissionv1.Validation) *admissionv1.ValidatingAdmissionPolicy {
	fail := admissionv1.Fail
	policy := &admissionv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: e.meta(t.name, strings.ToLower(string(action))),
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    &fail,
			MatchConstraints: e.constraints(t),
			MatchConditions:  e.conditions(t),
			Variables:        e.variables(t, action),
			Validations:      validations,
		},
	}
	if t.withStatefulSets {
		policy.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "apps/v1", Kind: "StatefulSet"}
	}
	return policy
}

func (e exporter) constraints(t target) *admissionv1.MatchResources {
	return &admissionv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: namespaceNameLabel, Operator: metav1.LabelSelectorOpNotIn, Values: e.ExcludedNamespaces,
		}}},
		ResourceRules: t.rules,
	}
}

// conditions exclude those who are never judged: controllers, which only carry out earlier requests, and the users that the policy
// excludes.
func (e exporter) conditions(t target) []admissionv1.MatchCondition {
	var out []admissionv1.MatchCondition
	add := func(name, expression string) {
		out = append(out, admissionv1.MatchCondition{Name: name, Expression: expression})
	}
	if t.deletes {
		add(controllersCondition, "!(request.userInfo.username in "+quoteAll(e.Controllers)+")")
		add("not-going-already", "!has(oldObject.metadata.deletionTimestamp)")
	}
	if exclude := e.policy.Spec.Match.Exclude; e.profile == "" {
		if excluded := excludedUsers(exclude); excluded != "" {
			add("not-excluded", "!("+excluded+")")
		}
	}
	return out
}
