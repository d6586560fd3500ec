package compat

import (
	"fmt"
	"strings"
	"testing"
)

// wrongRule refuses to delete the governing Service of a StatefulSet, which kubectl and Helm delete first.
const wrongRule = `
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: %[1]s}
spec:
  match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
  rules: {headlessService: {action: Deny, inUse: Deny}}
`

// TestWrongRuleIsSeen checks that the suite fails if a rule breaks a program.
func TestWrongRuleIsSeen(t *testing.T) {
	if !runs("kubectl") {
		t.Skip("-part selects another part")
	}
	c := kubectlCases[0]
	c.name = "a wrong rule"
	namespace := c.namespace("baseline")
	if _, err := shared.Apply(t.Context(), fmt.Sprintf(wrongRule, namespace)); err != nil {
		t.Fatal(err)
	}
	// The policy is in force once it has a status, which reports that its namespace does not exist yet.
	if _, err := shared.Run(t.Context(), shared.Kubeconfig, "", "wait", "statefulpolicy/"+namespace, "--for=jsonpath={.status.conditions[0].type}=Ready", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
	o, err := c.run(t.Context(), "baseline")
	if err != nil {
		t.Fatal(err)
	}
	// There is no run without rules to compare with, so judge must find the denial, not a fight.
	r := row{c, map[string]outcome{"off": o, "baseline": o}}
	wrong := r.judge("baseline")
	if wrong == nil || !strings.Contains(wrong.Error(), `unexpected denial: headless-service/in-use refused "delete services db"`) {
		t.Errorf("the suite passes although a rule is wrong: %v\n%s", wrong, o.said)
	}
	t.Log(wrong)
}
