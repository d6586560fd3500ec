package e2e

import (
	"strings"
	"testing"
)

// TestPolicies shows that a policy which could not be used is refused with the field that is wrong, by the API server's
// schema or by Mooring, and that a policy in force does not go unnoticed.
func TestPolicies(t *testing.T) {
	s := newShell(t)
	policy := func(spec string) string {
		return "{apiVersion: mooring.dev/v1alpha1, kind: StatefulPolicy, metadata: {name: NAMESPACE}, spec: " + spec + "}"
	}
	for name, c := range map[string]struct{ spec, says string }{
		"an unknown action":            {`{rules: {scaleDown: {action: Refuse}}}`, "spec.rules.scaleDown.action"},
		"a profile that is none":       {`{profile: strict}`, "spec.profile"},
		"an exception of no rule":      {`{exceptions: [{rule: scaledown, reason: why}]}`, "spec.exceptions[0].rule"},
		"an exception of no check":     {`{exceptions: [{rule: scale-down, checks: [zero], reason: why}]}`, "spec.exceptions[0].checks[0]"},
		"an exception without reason":  {`{exceptions: [{rule: scale-down}]}`, "spec.exceptions[0].reason"},
		"an exception that is strict":  {`{exceptions: [{rule: scale-down, action: Deny, reason: why}]}`, "spec.exceptions[0].action"},
		"an unknown rule":              {`{rules: {scaledown: {action: Deny}}}`, `unknown field "spec.rules.scaledown"`},
		"a selector that is none":      {`{match: {namespaceSelector: {matchExpressions: [{key: a, operator: Near}]}}}`, "spec.match.namespaceSelector"},
		"a default that it forbids":    {`{rules: {retentionPolicy: {action: Deny, default: {whenScaled: Delete}, require: {whenScaled: Retain}}}}`, "spec.rules.retentionPolicy.default"},
		"a type that it forbids":       {`{rules: {updateStrategy: {action: Deny, default: {type: OnDelete}, require: RollingUpdate}}}`, "spec.rules.updateStrategy.default.type"},
		"a floor that is none":         {`{rules: {scaleDown: {action: Warn, floor: Deny}}}`, "spec.rules.scaleDown.minReplicas"},
		"a floor below the floor":      {`{rules: {scaleDown: {action: Deny, minReplicas: 3}, autoscalerFloor: {action: Warn, minReplicas: 2}}}`, "spec.rules.autoscalerFloor.minReplicas"},
		"autoscalers that nobody asks": {`{rules: {scaleDown: {action: Deny, autoscalers: [keda]}}}`, "spec.rules.scaleDown.autoscaler"},
		"bounds that nothing fits in":  {`{rules: {claimTemplate: {action: Deny, minSize: 2Gi, maxSize: 1Gi}}}`, "spec.rules.claimTemplate.minSize"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := s.try(policy(c.spec), "apply", "-f", "-")
			if err == nil || !strings.Contains(out, c.says) {
				t.Errorf("the answer does not name %q:\n%s", c.says, out)
			}
		})
	}
	s.mustWith(policy("{match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}, rules: {spread: {action: Deny}}}"), "apply", "-f", "-")
	const lost = "no longer refused by spread"
	if out := s.must("patch", "statefulpolicy", s.namespace, "--type=merge", "--dry-run=server", "-p", `{"spec":{"mode":"Warn"}}`); !strings.Contains(out, lost) {
		t.Errorf("nobody is told what the new mode leaves unguarded:\n%s", out)
	}
	if out := s.must("delete", "statefulpolicy", s.namespace); !strings.Contains(out, lost) {
		t.Errorf("nobody is told what the delete leaves unguarded:\n%s", out)
	}
}
