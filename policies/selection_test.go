package policies_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

func TestSelection(t *testing.T) {
	const plain = "kind: StatefulSet"
	const gold = "{kind: StatefulSet, metadata: {labels: {tier: gold}}}"
	for name, test := range map[string]struct {
		policies     []v1alpha1.StatefulPolicy
		profile      string
		namespace    map[string]string
		older, newer string
		user         authenticationv1.UserInfo
		// want are the policies with their modes, in the order of their defaults.
		want []string
	}{
		"no label and no policy": {
			profile: "baseline", want: []string{"baseline:Enforce"},
		},
		"no label and no policy, default profile off": {profile: "off"},
		"the label chooses a profile": {
			profile: "baseline", namespace: map[string]string{policies.ProfileLabel: "restricted"}, want: []string{"restricted:Enforce"},
		},
		"the label chooses a profile, default profile off": {
			profile: "off", namespace: map[string]string{policies.ProfileLabel: "restricted"}, want: []string{"restricted:Enforce"},
		},
		"the label says off": {profile: "baseline", namespace: map[string]string{policies.ProfileLabel: "off"}},
		"the label says off, but policies still apply": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "{}")},
			profile:  "baseline", namespace: map[string]string{policies.ProfileLabel: "off"}, want: []string{"a:Enforce"},
		},
		"a mistyped label": {
			profile: "restricted", namespace: map[string]string{policies.ProfileLabel: "Baseline"}, want: []string{"restricted:Enforce"},
		},
		"an empty label": {
			profile: "restricted", namespace: map[string]string{policies.ProfileLabel: ""}, want: []string{"restricted:Enforce"},
		},
		"a mistyped label beside a policy": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "{}")},
			profile:  "baseline", namespace: map[string]string{policies.ProfileLabel: "of"}, want: []string{"a:Enforce", "baseline:Enforce"},
		},
		"a mistyped label, default profile off": {
			profile: "off", namespace: map[string]string{policies.ProfileLabel: "of"},
		},

		"a policy adds to the default profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "{}")}, profile: "baseline", want: []string{"a:Enforce", "baseline:Enforce"},
		},
		"a policy in mode Warn adds to the default profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "mode: Warn")}, profile: "baseline", want: []string{"a:Warn", "baseline:Enforce"},
		},
		"a policy sets the profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "profile: restricted")}, profile: "baseline", want: []string{"a:Enforce", "restricted:Enforce"},
		},
		"a policy turns the profile off": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "profile: 'off'")}, profile: "baseline", want: []string{"a:Enforce"},
		},
		"the label wins over a policy's profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "profile: 'off'")}, profile: "baseline",
			namespace: map[string]string{policies.ProfileLabel: "restricted"}, want: []string{"a:Enforce", "restricted:Enforce"},
		},
		"a mistyped label does not win over a policy's profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "profile: restricted")}, profile: "baseline",
			namespace: map[string]string{policies.ProfileLabel: "stirct"}, want: []string{"a:Enforce", "restricted:Enforce"},
		},
		"the strictest of several profiles wins": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "priority: 9\nprofile: 'off'"), policy(t, "b", "profile: restricted"), policy(t, "c", "profile: baseline")},
			profile:  "off", want: []string{"a:Enforce", "b:Enforce", "c:Enforce", "restricted:Enforce"},
		},
		"a policy in mode Audit does not set the profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "mode: Audit\nprofile: 'off'")}, profile: "baseline", want: []string{"a:Audit", "baseline:Enforce"},
		},
		"a policy for other namespaces does not set the profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "profile: 'off'\nmatch: {namespaceSelector: {matchLabels: {team: data}}}")},
			profile:  "baseline", want: []string{"baseline:Enforce"},
		},
		"a policy that excludes the user does not set the profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "profile: 'off'\nmatch: {exclude: {users: [ada]}}")},
			profile:  "baseline", user: authenticationv1.UserInfo{Username: "ada"}, want: []string{"baseline:Enforce"},
		},
		"a policy in mode Audit adds to the default profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "mode: Audit")},
			profile:  "baseline", want: []string{"a:Audit", "baseline:Enforce"},
		},
		"a policy adds to the profile that the label chooses": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "{}")},
			profile:  "baseline", namespace: map[string]string{policies.ProfileLabel: "baseline"}, want: []string{"a:Enforce", "baseline:Enforce"},
		},
		"by priority, then by name": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "c", "{}"), policy(t, "b", "{}"), policy(t, "d", "priority: 5"), policy(t, "a", "priority: -1")},
			profile:  "off", want: []string{"d:Enforce", "b:Enforce", "c:Enforce", "a:Enforce"},
		},

		"the mode label caps the profile": {
			profile: "baseline", namespace: map[string]string{policies.ModeLabel: "warn"}, want: []string{"baseline:Warn"},
		},
		"the mode label does not cap policies": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "{}")},
			profile:  "baseline", namespace: map[string]string{policies.ProfileLabel: "restricted", policies.ModeLabel: "audit"},
			want: []string{"a:Enforce", "restricted:Audit"},
		},
		"the mode label in capitals": {
			profile: "baseline", namespace: map[string]string{policies.ModeLabel: "Audit"}, want: []string{"baseline:Audit"},
		},
		"a mistyped mode label": {
			profile: "baseline", namespace: map[string]string{policies.ModeLabel: "autid"}, want: []string{"baseline:Enforce"},
		},

		"the namespace selector matches": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {namespaceSelector: {matchLabels: {team: data}}}")},
			profile:  "off", namespace: map[string]string{"team": "data"}, want: []string{"a:Enforce"},
		},
		"the namespace selector does not match": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {namespaceSelector: {matchLabels: {team: data}}}")},
			profile:  "baseline", namespace: map[string]string{"team": "web"}, want: []string{"baseline:Enforce"},
		},
		"an empty namespace selector matches all namespaces": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {namespaceSelector: {}}")}, profile: "off", want: []string{"a:Enforce"},
		},
		"the object selector, on create": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {objectSelector: {matchLabels: {tier: gold}}}")},
			profile:  "off", newer: gold, want: []string{"a:Enforce"},
		},
		"the object selector, on delete": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {objectSelector: {matchLabels: {tier: gold}}}")},
			profile:  "off", older: gold, want: []string{"a:Enforce"},
		},
		"the object selector, when the update removes the label": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {objectSelector: {matchLabels: {tier: gold}}}")},
			profile:  "off", older: gold, newer: plain, want: []string{"a:Enforce"},
		},
		"the object selector, when the update adds the label": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {objectSelector: {matchLabels: {tier: gold}}}")},
			profile:  "off", older: plain, newer: gold, want: []string{"a:Enforce"},
		},
		"the object selector does not match": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {objectSelector: {matchLabels: {tier: gold}}}")},
			profile:  "off", older: plain, newer: plain,
		},
		"both selectors must match": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a",
				"match: {namespaceSelector: {matchLabels: {team: data}}, objectSelector: {matchLabels: {tier: gold}}}")},
			profile: "off", namespace: map[string]string{"team": "web"}, newer: gold,
		},

		"an excluded namespace has the default profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {namespaces: [shop]}}")},
			profile:  "baseline", want: []string{"baseline:Enforce"},
		},
		"another namespace is excluded": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {namespaces: [shops]}}")},
			profile:  "off", want: []string{"a:Enforce"},
		},
		"an excluded user": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {users: [ada]}}")},
			profile:  "off", user: authenticationv1.UserInfo{Username: "ada"},
		},
		"another user is excluded": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {users: [ada]}}")},
			profile:  "off", user: authenticationv1.UserInfo{Username: "bob"}, want: []string{"a:Enforce"},
		},
		"an excluded group": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {groups: [sre]}}")},
			profile:  "off", user: authenticationv1.UserInfo{Groups: []string{"dev", "sre"}},
		},
		"another group is excluded": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {groups: [sre]}}")},
			profile:  "off", user: authenticationv1.UserInfo{Username: "sre", Groups: []string{"dev"}}, want: []string{"a:Enforce"},
		},
		"an excluded service account": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {serviceAccounts: [ci/deployer]}}")},
			profile:  "off", user: authenticationv1.UserInfo{Username: "system:serviceaccount:ci:deployer"},
		},
		"a service account with the same name in another namespace": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {serviceAccounts: [ci/deployer]}}")},
			profile:  "off", user: authenticationv1.UserInfo{Username: "system:serviceaccount:shop:deployer"}, want: []string{"a:Enforce"},
		},
		"a user with the name of a service account": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {serviceAccounts: [ci/deployer]}}")},
			profile:  "off", user: authenticationv1.UserInfo{Username: "ci/deployer"}, want: []string{"a:Enforce"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := policies.Compile(rules.All, test.policies, test.profile)
			if err != nil {
				t.Fatal(err)
			}
			if test.older == "" && test.newer == "" {
				test.newer = plain
			}
			ch := change(t, test.older, test.newer)
			ch.User = test.user
			c := policies.Snapshot{Complete: true, Objects: []kinds.Object{
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: test.namespace}},
			}}
			got, err := set.Chosen(ch, c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
		})
	}
}

// The API server labels every namespace with its name, so this label is known even if the namespace is not.
func TestSelectionByNameOfAnUnknownNamespace(t *testing.T) {
	set := only(t, policy(t, "a", `match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}
rules: {headlessService: {action: Warn}}`))
	file := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	kinds.Normalise(file)
	for name, c := range map[string]policies.Snapshot{
		"not in the files":   {},
		"not in the cluster": {Complete: true},
		"in a file":          {Objects: []kinds.Object{file}},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(t, set, change(t, "", "kind: StatefulSet"), c)
			if diff := cmp.Diff([]string{"headless-service/missing:Warn@a"}, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamespaceIsItsOwnNamespace(t *testing.T) {
	set, err := policies.Compile(rules.All, nil, "baseline")
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{policies.ProfileLabel: "restricted"}}}
	chosen, err := set.Chosen(policies.Change{Operation: "DELETE", Old: ns}, policies.Snapshot{Complete: true})
	if err != nil || len(chosen) != 1 || chosen[0] != "restricted:Enforce" {
		t.Errorf("want the profile of the namespace's own label, got %v, %v", chosen, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	good := policy(t, "good", "rules: {headlessService: {action: Audit}}")
	for name, test := range map[string]struct {
		policies []v1alpha1.StatefulPolicy
		profile  string
		want     []string
	}{
		"an unknown profile": {
			profile: "strict", want: []string{`"strict"`, `"baseline"`, `"off"`},
		},
		"a selector that cannot be parsed": {
			policies: []v1alpha1.StatefulPolicy{
				good,
				policy(t, "a", "match: {namespaceSelector: {matchExpressions: [{key: x, operator: Near}]}}"),
				policy(t, "b", "match: {objectSelector: {matchLabels: {x: '!'}}}"),
			},
			profile: "off",
			want:    []string{"StatefulPolicy a", "spec.match.namespaceSelector", "StatefulPolicy b", "spec.match.objectSelector"},
		},
		"a policy with the name of a profile": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "baseline", "{}")},
			profile:  "off", want: []string{"StatefulPolicy baseline", "metadata.name"},
		},
		"an exception for an unknown rule": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "exceptions: [{rule: scaledown, reason: why}]")},
			profile:  "off", want: []string{"spec.exceptions[0].rule", `"scaledown"`, `"scale-down"`},
		},
		"an exception for an unknown check": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "exceptions: [{rule: scale-down, checks: [quorum, zero], reason: why}]")},
			profile:  "off", want: []string{"spec.exceptions[0].checks[1]", `"zero"`, `"to-zero"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policies.Compile(rules.All, test.policies, test.profile)
			if err == nil {
				t.Fatal("Compile returned no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not name %s: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "StatefulPolicy good") {
				t.Errorf("the error blames a good policy: %v", err)
			}
		})
	}
}
