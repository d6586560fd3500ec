package policies_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

func TestDiagnose(t *testing.T) {
	retain := func(match string) string {
		return match + "\nrules: {retentionPolicy: {action: Deny, require: {whenDeleted: Retain}}}"
	}
	remove := func(match string) string {
		return match + "\nrules: {retentionPolicy: {action: Deny, require: {whenDeleted: Delete}}}"
	}
	for name, test := range map[string]struct {
		a, b string
		// want is the diagnosis of a, and that of b under its name.
		invalid              string
		missing, contradicts []string
	}{
		"nothing":                          {a: "{}"},
		"an exception for an unknown rule": {a: "exceptions: [{rule: scaledown, reason: night}]", invalid: "spec.exceptions[0].rule"},
		"an existing namespace":            {a: "match: {exclude: {namespaces: [shop]}}"},
		"a missing namespace":              {a: "match: {exclude: {namespaces: [shop, gone]}}", missing: []string{"namespace gone does not exist"}},
		"a selected namespace":             {a: "match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gone}}}", missing: []string{"namespace gone does not exist"}},
		"a namespace in an expression":     {a: "match: {namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [shop, gone]}]}}", missing: []string{"namespace gone does not exist"}},
		"an existing StorageClass":         {a: "rules: {claimTemplate: {action: Warn, storageClasses: [fast]}}"},
		"a missing StorageClass":           {a: "rules: {claimTemplate: {action: Warn, storageClasses: [fast, slow]}}", missing: []string{"StorageClass slow does not exist"}},
		"both want the same":               {a: retain(""), b: retain("")},
		"each wants another":               {a: retain(""), b: remove(""), contradicts: []string{"StatefulPolicy b: rules.retentionPolicy.require.whenDeleted requires both Delete and Retain"}},
		"each, in other namespaces":        {a: retain(""), b: remove("match: {exclude: {namespaces: [shop]}}")},
		"each, of other objects":           {a: retain("match: {objectSelector: {matchLabels: {tier: gold}}}"), b: remove("match: {objectSelector: {matchLabels: {tier: dev}}}")},
		"each, and one only audits":        {a: retain(""), b: remove("mode: Audit")},
		"each, and one only warns":         {a: retain(""), b: "rules: {retentionPolicy: {action: Warn, require: {whenDeleted: Delete}}}"},
		"each allows another class":        {a: "rules: {claimTemplate: {action: Deny, storageClasses: [fast]}}", b: "rules: {claimTemplate: {action: Deny, storageClasses: [slow]}}", contradicts: []string{"StatefulPolicy b: rules.claimTemplate.storageClasses have none in common"}},
		"each allows other sizes":          {a: "rules: {claimTemplate: {action: Deny, minSize: 2Gi}}", b: "rules: {claimTemplate: {action: Deny, maxSize: 1Gi}}", contradicts: []string{"StatefulPolicy b: rules.claimTemplate: minSize of one is more than maxSize of the other"}},
		"each requires another rollout":    {a: "rules: {updateStrategy: {action: Deny, require: OnDelete}}", b: "rules: {updateStrategy: {action: Deny, require: RollingUpdate}}", contradicts: []string{"StatefulPolicy b: rules.updateStrategy.require requires both OnDelete and RollingUpdate"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := []v1alpha1.StatefulPolicy{policy(t, "a", test.a)}
			if test.b != "" {
				all = append(all, policy(t, "b", test.b))
			}
			found, err := policies.Diagnose(rules.All, all, cluster(t, "kind: Namespace", "{kind: StorageClass, metadata: {name: fast}}"))
			if err != nil {
				t.Fatal(err)
			}
			got := found["a"]
			if (got.Invalid == nil) != (test.invalid == "") || got.Invalid != nil && !strings.Contains(got.Invalid.Error(), test.invalid) {
				t.Errorf("invalid: %v, want %q", got.Invalid, test.invalid)
			}
			if diff := cmp.Diff(test.missing, got.Missing, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.contradicts, got.Contradicts, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("contradicts (-want +got):\n%s", diff)
			}
			if test.b != "" && len(found["b"].Contradicts) != len(test.contradicts) {
				t.Errorf("only one of the two is told: %v", found["b"].Contradicts)
			}
		})
	}
}
