package webhooks

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// TestMessages keeps all texts that a user can see in one file, as kubectl shows them, so that a person can read them all: what
// happened, why it matters, what to do next.
func TestMessages(t *testing.T) {
	var b strings.Builder
	b.WriteString("All messages that Mooring sends, as kubectl shows them. To update this file: go test ./webhooks -run TestMessages -update\n")
	for _, rule := range rules.All {
		told := map[string]bool{}
		cases, err := ruletest.Of(rule)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			verdict, err := c.Judge()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range verdict.Findings {
				told[f.Check] = true
			}
			tell(t, &b, rule.ID+": "+c.Name, respond(&admissionv1.AdmissionRequest{}, verdict))
		}
		for _, check := range rule.Checks {
			if !told[check.Name] {
				t.Errorf("no case shows %s/%s", rule.ID, check.Name)
			}
		}
	}
	for _, n := range notes {
		verdict, err := n.judge()
		if err != nil {
			t.Fatalf("%s: %v", n.name, err)
		}
		tell(t, &b, "note: "+n.name, respond(&admissionv1.AdmissionRequest{}, verdict))
	}
	baseline, err := policies.Compile(rules.All, nil, policies.Baseline)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range policyChanges {
		tell(t, &b, "policy: "+p.name, judgePolicy(baseline, policyOf(t, p.old), policyOf(t, p.new), time.Time{}))
	}
	again, _ := (&Reviewer{AskAgain: true}).unread(context.DeadlineExceeded)
	tell(t, &b, "the cluster cannot be read", again)

	const golden = "testdata/messages.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("%s has other messages; read the difference, and run with -update if it is right (-want +got):\n%s", golden, diff)
	}
}

// tell writes what kubectl shows of an answer, if anything.
func tell(t *testing.T, b *strings.Builder, about string, answer *admissionv1.AdmissionResponse) {
	if answer.Allowed && len(answer.Warnings) == 0 {
		return
	}
	fmt.Fprintf(b, "\n--- %s\n", about)
	for _, w := range answer.Warnings {
		fmt.Fprintln(b, "Warning:", w)
		if n := utf8.RuneCountInString(w); n > policies.MaxWarning {
			t.Errorf("%s: a warning of %d characters, %d are allowed: %s", about, n, policies.MaxWarning, w)
		}
	}
	if !answer.Allowed {
		fmt.Fprintln(b, answer.Result.Message)
	}
}

// notes are changes with findings that say why their action is not the rule's.
var notes = []note{
	{name: "the bypass counts", annotations: "mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: the data has moved", may: true},
	{name: "the bypass lacks a reason", annotations: "mooring.dev/bypass: scale-down", may: true},
	{name: "the bypass has ended", annotations: `mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: x, mooring.dev/bypass-until: "2026-03-01T00:00:00Z"`, may: true},
	{name: "the bypass lasts too long", annotations: `mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: x, mooring.dev/bypass-until: "2027-03-01T00:00:00Z"`, may: true},
	{name: "the end of the bypass is not a time", annotations: `mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: x, mooring.dev/bypass-until: tomorrow`, may: true},
	{name: "the user may not bypass", annotations: "mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: x"},
	{name: "the policy only warns", mode: v1alpha1.ModeWarn},
	{name: "an operator owns the object", owner: "ownerReferences: [{apiVersion: db.example.com/v1, kind: Database, name: db, uid: '1', controller: true}]"},
}

type note struct {
	name, annotations, owner string
	may                      bool
	mode                     v1alpha1.Mode
}

// judge judges a scale-down from three to one by alice.
func (n note) judge() (policies.Verdict, error) {
	meta := fmt.Sprintf("metadata: {annotations: {%s}, %s}", n.annotations, n.owner)
	rule, _ := policies.Find(rules.All, "scale-down")
	file, err := ruletest.Own(rule)
	if err != nil {
		return policies.Verdict{}, err
	}
	c, err := file.Case(fmt.Sprintf("{name: x, ready: [0, 1, 2], user: alice, old: {kind: StatefulSet, %[1]s}, new: {kind: StatefulSet, spec: {replicas: 1}, %[1]s}}", meta))
	if err != nil {
		return policies.Verdict{}, err
	}
	play, err := c.Build()
	if err != nil {
		return policies.Verdict{}, err
	}
	play.Change.Time, play.Policies[0].Spec.Mode = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC), n.mode
	if n.may {
		play.Cluster.Bypass = []string{play.Policies[0].Name}
	}
	set, err := play.Set()
	if err != nil {
		return policies.Verdict{}, err
	}
	return play.Judge(set)
}

// policyChanges are changes to a policy's spec.
var policyChanges = []struct{ name, old, new string }{
	{"adds exceptions to the profile", "", `{exceptions: [{rule: scale-down, reason: it sleeps at night}, {rule: delete-protection, checks: [namespace], reason: previews}]}`},
	{"turns the profile off", "", `{profile: "off"}`},
	{"an exception names an unknown rule", "", `{exceptions: [{rule: scaledown, reason: night}]}`},
	{"it is deleted", `{rules: {scaleDown: {action: Deny}, deleteProtection: {action: Deny}}}`, ""},
	{"its mode becomes Warn", `{rules: {scaleDown: {action: Deny}}}`, `{mode: Warn, rules: {scaleDown: {action: Deny}}}`},
	{"an action changes from Deny to Warn", `{rules: {scaleDown: {action: Deny}, forceDelete: {action: Deny}}}`, `{rules: {scaleDown: {action: Deny}, forceDelete: {action: Warn}}}`},
	{"a retention policy default that require does not allow", "", `{rules: {retentionPolicy: {action: Deny, default: {whenScaled: Delete}, require: {whenScaled: Retain}}}}`},
	{"an update strategy default that require does not allow", "", `{rules: {updateStrategy: {action: Deny, default: {type: OnDelete}, require: RollingUpdate}}}`},
	{"minSize is greater than maxSize", "", `{rules: {claimTemplate: {action: Deny, minSize: 2Gi, maxSize: 1Gi}}}`},
	{"step needs maxStep, and floor needs minReplicas", "", `{rules: {scaleDown: {action: Warn, step: Deny, floor: Deny}}}`},
	{"autoscalerFloor.minReplicas is less than scaleDown.minReplicas", "", `{rules: {scaleDown: {action: Deny, minReplicas: 3}, autoscalerFloor: {action: Warn, minReplicas: 2}}}`},
	{"autoscalers needs autoscaler: Clamp", "", `{rules: {scaleDown: {action: Deny, autoscalers: [keda]}}}`},
	{"drained needs a condition or an annotation", "", `{rules: {scaleDown: {action: Deny, drained: {}}}}`},
	{"an invalid selector", "", `{match: {objectSelector: {matchExpressions: [{key: a, operator: Near}]}}}`},
}

func policyOf(t *testing.T, spec string) kinds.Object {
	t.Helper()
	if spec == "" {
		return nil
	}
	policy := &v1alpha1.StatefulPolicy{ObjectMeta: metav1.ObjectMeta{Name: "databases"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &policy.Spec); err != nil {
		t.Fatal(err)
	}
	return policy
}

// TestWarningsAreShort checks that no warning has more than the 256 characters that the API server always shows.
func TestWarningsAreShort(t *testing.T) {
	messages, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(messages)) {
		warning, ok := strings.CutPrefix(strings.TrimSpace(line), "Warning: ")
		if n := utf8.RuneCountInString(warning); ok && n > 256 {
			t.Errorf("%d characters: %s", n, warning)
		}
	}
}
