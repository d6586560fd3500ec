package policies_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

func TestExceptions(t *testing.T) {
	const deny = "rules: {scaleDown: {action: Deny}}"
	exception := func(e string) v1alpha1.StatefulPolicy { return policy(t, "e", "exceptions: [{"+e+"}]") }
	for name, test := range map[string]struct {
		policies []v1alpha1.StatefulPolicy
		profile  string
		want     []string
		note     string
		silenced int
	}{
		"of another policy": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: scale-down, reason: night")},
			want:     []string{"scale-down/to-zero:Warn@a"}, note: "exception of policy e: night",
		},
		"of the profile": {
			policies: []v1alpha1.StatefulPolicy{exception("rule: scale-down, reason: night")}, profile: "baseline",
			want: []string{"scale-down/to-zero:Warn@baseline"}, note: "exception of policy e: night",
		},
		"of the check": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: scale-down, checks: [to-zero], reason: night")},
			want:     []string{"scale-down/to-zero:Warn@a"}, note: "exception",
		},
		"of another check": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: scale-down, checks: [quorum], reason: night")},
			want:     []string{"scale-down/to-zero:Deny@a"},
		},
		"of another rule": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: ordinal-shift, reason: night")},
			want:     []string{"scale-down/to-zero:Deny@a"},
		},
		"that audits": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: scale-down, action: Audit, reason: night")},
			want:     []string{"scale-down/to-zero:Audit@a"}, note: "exception",
		},
		"that silences": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: scale-down, action: 'Off', reason: night")}, silenced: 1,
		},
		"until later": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: scale-down, reason: night, until: '2026-03-01T12:00:01Z'")},
			want:     []string{"scale-down/to-zero:Warn@a"}, note: "exception",
		},
		"until now": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), exception("rule: scale-down, reason: night, until: '2026-03-01T12:00:00Z'")},
			want:     []string{"scale-down/to-zero:Deny@a"}, note: "the exception of policy e ended at 2026-03-01T12:00:00Z",
		},
		"of a policy that only audits": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), policy(t, "e", "mode: Audit\nexceptions: [{rule: scale-down, reason: night}]")},
			want:     []string{"scale-down/to-zero:Deny@a"},
		},
		"of a policy that does not match": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), policy(t, "e", "match: {objectSelector: {matchLabels: {tier: dev}}}\nexceptions: [{rule: scale-down, reason: night}]")},
			want:     []string{"scale-down/to-zero:Deny@a"},
		},
		"of the same policy": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "e", deny+"\nexceptions: [{rule: scale-down, reason: night}]")},
			want:     []string{"scale-down/to-zero:Deny@e"},
		},
		"a third policy still denies": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {scaleDown: {action: Warn}}"), policy(t, "e", deny+"\nexceptions: [{rule: scale-down, reason: night}]")},
			want:     []string{"scale-down/to-zero:Deny@e"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			profile := policies.ProfileOff
			if test.profile != "" {
				profile = test.profile
			}
			set, err := policies.Compile(rules.All, test.policies, profile)
			if err != nil {
				t.Fatal(err)
			}
			ch := change(t, "kind: StatefulSet", "{kind: StatefulSet, spec: {replicas: 0}}")
			ch.Time, ch.Scale = now, true
			verdict, err := set.Judge(ch, cluster(t, "kind: Service"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, short(verdict)); diff != "" {
				t.Fatalf("findings (-want +got):\n%s", diff)
			}
			if len(verdict.Silenced) != test.silenced {
				t.Errorf("silenced: %v, want %d", verdict.Silenced, test.silenced)
			}
			for _, f := range verdict.Findings {
				if !strings.Contains(f.Note, test.note) || (f.Exception == "e") != strings.HasPrefix(test.note, "exception") {
					t.Errorf("the note is %q and the exception %q", f.Note, f.Exception)
				}
			}
		})
	}
}

// TestUnguarded checks what a policy change leaves unguarded if only the policy and its profile apply.
func TestUnguarded(t *testing.T) {
	const spread = "rules: {spread: {action: Deny}, scaleDown: {action: Deny}}"
	for name, test := range map[string]struct {
		older, newer string
		want         []string
	}{
		"a new policy that adds": {newer: spread},
		"an empty policy":        {newer: "{}"},
		"the profile refuses the same as the deleted policy": {older: "rules: {scaleDown: {action: Deny}}"},
		"what only the policy refused":                       {older: spread, want: []string{"spread"}},
		"a mode that only warns":                             {older: spread, newer: "mode: Warn\n" + spread, want: []string{"spread"}},
		"an exception for a rule of the profile":             {newer: "exceptions: [{rule: scale-down, reason: why}]", want: []string{"scale-down"}},
		"an exception for a check":                           {newer: "exceptions: [{rule: scale-down, checks: [to-zero], reason: why}]", want: []string{"scale-down/to-zero"}},
		"an exception for a rule that does not deny":         {newer: "exceptions: [{rule: spread, reason: why}]"},
		"an exception that has ended":                        {newer: "exceptions: [{rule: scale-down, reason: why, until: '2026-03-01T11:00:00Z'}]"},
		"an existing exception":                              {older: "exceptions: [{rule: scale-down, reason: why}]", newer: "exceptions: [{rule: scale-down, reason: because}]"},
		"an exception in a dry run":                          {newer: "mode: Audit\nexceptions: [{rule: scale-down, reason: why}]"},
		"an exception is removed":                            {older: "exceptions: [{rule: scale-down, reason: why}]"},
		"a stricter profile":                                 {newer: "profile: restricted"},
		"a rule is removed that restricted has too":          {older: "profile: restricted\nrules: {readiness: {action: Deny}}", newer: "profile: restricted"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := policies.Compile(rules.All, nil, policies.Baseline)
			if err != nil {
				t.Fatal(err)
			}
			of := func(spec string) *v1alpha1.StatefulPolicy {
				if spec == "" {
					return nil
				}
				p := policy(t, "a", spec)
				return &p
			}
			if diff := cmp.Diff(test.want, set.Unguarded(of(test.older), of(test.newer), now), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("unguarded (-want +got):\n%s", diff)
			}
		})
	}
	set, err := policies.Compile(rules.All, nil, policies.Baseline)
	if err != nil {
		t.Fatal(err)
	}
	off := policy(t, "a", "profile: 'off'")
	if got := set.Unguarded(nil, &off, time.Time{}); len(got) < 4 {
		t.Errorf("a policy that sets no profile leaves only %v unguarded", got)
	}
}
