package policies_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// now is the time of the tests' requests.
var now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func TestBypass(t *testing.T) {
	for name, test := range map[string]struct {
		annotations map[string]string
		may         []string
		want        v1alpha1.Action
		// note must be part of the finding's note, and of no other finding's.
		note string
	}{
		"allowed": {
			annotations: map[string]string{policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away"},
			may:         []string{"a"}, want: v1alpha1.Warn, note: "bypassed: moved away",
		},
		"allowed, among other rules": {
			annotations: map[string]string{policies.BypassAnnotation: "headless-service , scale-down,", policies.BypassReasonAnnotation: " moved away\n"},
			may:         []string{"a"}, want: v1alpha1.Warn, note: "bypassed: moved away",
		},
		"allowed until later": {
			annotations: map[string]string{
				policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away", policies.BypassUntilAnnotation: "2026-03-01T12:00:01Z",
			},
			may: []string{"a"}, want: v1alpha1.Warn, note: "bypassed: moved away",
		},
		"allowed until exactly a day later, in another time zone": {
			annotations: map[string]string{
				policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away", policies.BypassUntilAnnotation: "2026-03-02T14:00:00+02:00",
			},
			may: []string{"a"}, want: v1alpha1.Warn, note: "bypassed: moved away",
		},
		"no annotation": {may: []string{"a"}, want: v1alpha1.Deny},
		"another rule": {
			annotations: map[string]string{policies.BypassAnnotation: "headless-service", policies.BypassReasonAnnotation: "moved away"},
			may:         []string{"a"}, want: v1alpha1.Deny, note: "mooring.dev/bypass=headless-service does not name this rule. Fix: mooring.dev/bypass=scale-down",
		},
		"no rule": {
			annotations: map[string]string{policies.BypassAnnotation: "true", policies.BypassReasonAnnotation: "moved away"},
			may:         []string{"a"}, want: v1alpha1.Deny, note: "Fix: mooring.dev/bypass=scale-down",
		},
		"an empty annotation": {
			annotations: map[string]string{policies.BypassAnnotation: "", policies.BypassReasonAnnotation: "moved away"},
			may:         []string{"a"}, want: v1alpha1.Deny, note: "Fix: mooring.dev/bypass=scale-down",
		},
		"the prefix of a rule's name": {
			annotations: map[string]string{policies.BypassAnnotation: "scale-downs,scale", policies.BypassReasonAnnotation: "moved away"},
			may:         []string{"a"}, want: v1alpha1.Deny, note: "Fix: mooring.dev/bypass=scale-down",
		},
		"no reason": {
			annotations: map[string]string{policies.BypassAnnotation: "scale-down"},
			may:         []string{"a"}, want: v1alpha1.Deny, note: "must give the reason",
		},
		"a blank reason": {
			annotations: map[string]string{policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: " \t"},
			may:         []string{"a"}, want: v1alpha1.Deny, note: "must give the reason",
		},
		"an invalid time": {
			annotations: map[string]string{
				policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away", policies.BypassUntilAnnotation: "tomorrow",
			},
			may: []string{"a"}, want: v1alpha1.Deny, note: `"tomorrow" is not an RFC 3339 time`,
		},
		"an empty time is invalid": {
			annotations: map[string]string{
				policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away", policies.BypassUntilAnnotation: "",
			},
			may: []string{"a"}, want: v1alpha1.Deny, note: `"" is not an RFC 3339 time`,
		},
		"expired": {
			annotations: map[string]string{
				policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away", policies.BypassUntilAnnotation: "2026-03-01T11:59:59Z",
			},
			may: []string{"a"}, want: v1alpha1.Deny, note: "ended at 2026-03-01T11:59:59Z",
		},
		"expires now": {
			annotations: map[string]string{
				policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away", policies.BypassUntilAnnotation: "2026-03-01T12:00:00Z",
			},
			may: []string{"a"}, want: v1alpha1.Deny, note: "ended at",
		},
		"more than a day ahead": {
			annotations: map[string]string{
				policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away", policies.BypassUntilAnnotation: "2026-03-02T12:00:01Z",
			},
			may: []string{"a"}, want: v1alpha1.Deny, note: "more than 24 hours ahead",
		},
		"a user without the verb": {
			annotations: map[string]string{policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away"},
			want:        v1alpha1.Deny, note: `ada lacks the verb bypass on statefulpolicies.mooring.dev "a" in namespace shop. An administrator can grant it: kubectl create rolebinding -n shop mooring-bypass --clusterrole=mooring-bypass --user=ada`,
		},
		"a user with the verb on another policy": {
			annotations: map[string]string{policies.BypassAnnotation: "scale-down", policies.BypassReasonAnnotation: "moved away"},
			may:         []string{"b"}, want: v1alpha1.Deny, note: "ada lacks the verb",
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := only(t, policy(t, "a", "rules: {scaleDown: {action: Deny}}"))
			ch := change(t, "kind: StatefulSet", "{kind: StatefulSet, spec: {replicas: 0}}")
			ch.New.SetAnnotations(test.annotations)
			ch.Time, ch.User.Username = now, "ada"
			verdict, err := set.Judge(ch, policies.Snapshot{Complete: true, Bypass: test.may})
			if err != nil || len(verdict.Findings) != 1 {
				t.Fatalf("want one finding: %v, %v", verdict, err)
			}
			f := verdict.Findings[0]
			if f.Action != test.want {
				t.Errorf("the action is %s, want %s", f.Action, test.want)
			}
			if (f.Note == "") != (test.note == "") || !strings.Contains(f.Note, test.note) {
				t.Errorf("the note is %q, want one with %q", f.Note, test.note)
			}
			if bypassed := f.Bypassed != ""; bypassed != (test.want == v1alpha1.Warn) {
				t.Errorf("bypassed for %q at action %s", f.Bypassed, f.Action)
			}
		})
	}
}

func TestBypassOfOneOfTwoPolicies(t *testing.T) {
	const deny, warn = "rules: {scaleDown: {action: Deny}}", "priority: 9\nrules: {scaleDown: {action: Warn}}"
	for name, test := range map[string]struct {
		other string
		may   []string
		want  []string
		why   string
	}{
		"the other still denies":           {other: deny, may: []string{"a"}, want: []string{"scale-down/to-zero:Deny@b"}},
		"both are bypassed":                {other: deny, may: []string{"a", "b"}, want: []string{"scale-down/to-zero:Warn@a"}, why: "moved away"},
		"the use is not lost to a warning": {other: warn, may: []string{"a"}, want: []string{"scale-down/to-zero:Warn@a"}, why: "moved away"},
	} {
		t.Run(name, func(t *testing.T) {
			set := only(t, policy(t, "a", deny), policy(t, "b", test.other))
			ch := change(t, "kind: StatefulSet", `{kind: StatefulSet, spec: {replicas: 0},
  metadata: {annotations: {mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: moved away}}}`)
			c := policies.Snapshot{Complete: true, Bypass: test.may}
			if diff := cmp.Diff(test.want, judge(t, set, ch, c)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if verdict, _ := set.Judge(ch, c); verdict.Findings[0].Bypassed != test.why {
				t.Errorf("bypassed for %q, want %q", verdict.Findings[0].Bypassed, test.why)
			}
		})
	}
}

func TestBypassStandsOnTheObjectOfTheRequest(t *testing.T) {
	const annotated = "metadata: {annotations: {mooring.dev/bypass: headless-service, mooring.dev/bypass-reason: why}}"
	set := only(t, policy(t, "a", "rules: {headlessService: {action: Deny}}"))
	for name, test := range map[string]struct {
		service, statefulSet string
		want                 []string
	}{
		"on the Service":     {"{kind: Service, " + annotated + "}", "kind: StatefulSet", []string{"headless-service/in-use:Warn@a"}},
		"on the StatefulSet": {"kind: Service", "{kind: StatefulSet, " + annotated + "}", []string{"headless-service/in-use:Deny@a"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t, test.statefulSet)
			c.Bypass = []string{"a"}
			if diff := cmp.Diff(test.want, judge(t, set, change(t, test.service, ""), c)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBypassOfAGroup(t *testing.T) {
	const leader = `{kind: StatefulSet, metadata: {name: zone-a, labels: {rollout-group: ingester},
  annotations: {mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: moved away}}}`
	for name, test := range map[string]struct {
		policy, follower string
		may              []string
		want             []string
	}{
		"of the group": {
			"bypassGroupLabel: rollout-group", "ingester", []string{"a"}, []string{"scale-down/to-zero:Warn@a"},
		},
		"of another group":           {"bypassGroupLabel: rollout-group", "store", []string{"a"}, []string{"scale-down/to-zero:Deny@a"}},
		"no policy has groups":       {"mode: Enforce", "ingester", []string{"a"}, []string{"scale-down/to-zero:Deny@a"}},
		"the user lacks the verb":    {"bypassGroupLabel: rollout-group", "ingester", nil, []string{"scale-down/to-zero:Deny@a"}},
		"groups by a label it lacks": {"bypassGroupLabel: zone", "ingester", []string{"a"}, []string{"scale-down/to-zero:Deny@a"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := only(t, policy(t, "a", test.policy+"\nrules: {scaleDown: {action: Deny}}"))
			ch := change(t, "kind: StatefulSet", "{kind: StatefulSet, spec: {replicas: 0}}")
			for _, o := range []kinds.Object{ch.Old, ch.New} {
				o.SetLabels(map[string]string{"rollout-group": test.follower})
			}
			c := cluster(t, leader)
			c.Complete, c.Bypass = true, test.may
			if diff := cmp.Diff(test.want, judge(t, set, ch, c)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzBypass checks that no value of the annotations lets through a user without the right, or a change without a reason.
func FuzzBypass(f *testing.F) {
	f.Add("scale-down", "moved away", "2026-03-01T18:00:00Z", true)
	f.Add("scale-down,", "", "", false)
	f.Add(",,scale-down\x00", " ", "2026-03-01T18:00:00.999999999+99:99", true)
	f.Add("*", "why", "9999-12-31T23:59:60Z", true)
	f.Fuzz(func(t *testing.T, rules, reason, until string, may bool) {
		ch := change(t, "kind: StatefulSet", "{kind: StatefulSet, spec: {replicas: 0}}")
		ch.New.SetAnnotations(map[string]string{policies.BypassAnnotation: rules, policies.BypassReasonAnnotation: reason, policies.BypassUntilAnnotation: until})
		ch.Time = now
		c := policies.Snapshot{Complete: true}
		if may {
			c.Bypass = []string{"a"}
		}
		verdict, err := only(t, policy(t, "a", "rules: {scaleDown: {action: Deny}}")).Judge(ch, c)
		if err != nil || len(verdict.Findings) != 1 {
			t.Fatalf("want one finding: %v, %v", verdict, err)
		}
		if verdict.Denied() {
			return
		}
		end, err := time.Parse(time.RFC3339, until)
		if !may || strings.TrimSpace(reason) == "" || !strings.Contains(rules, "scale-down") ||
			err != nil || !end.After(now) || end.After(now.Add(24*time.Hour)) {
			t.Errorf("rules %q, reason %q, until %q, may %t: let through", rules, reason, until, may)
		}
	})
}
