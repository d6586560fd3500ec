package compat

import (
	"fmt"
	"strings"
	"testing"
)

// wrongRule refuses the delete of a Service that a StatefulSet relies on, which kubectl and Helm delete first.
const wrongRule = `
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: %[1]s}
spec:
  match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
  rules: {headlessService: {action: Deny, inUse: Deny}}
`

// TestWrongRuleIsSeen shows that a rule which breaks what programs do fails the suite.
func TestWrongRuleIsSeen(t *testing.T) {
	if !runs("kubectl") {
		t.Skip("another part is asked for")
	}
	c := kubectlCases[0]
	c.name = "a rule made wrong"
	namespace := c.namespace("baseline")
	if _, err := shared.Apply(t.Context(), fmt.Sprintf(wrongRule, namespace)); err != nil {
		t.Fatal(err)
	}
	// It is in force once it has a status, which says that its namespace is still to come.
	if _, err := shared.Run(t.Context(), shared.Kubeconfig, "", "wait", "statefulpolicy/"+namespace, "--for=jsonpath={.status.conditions[0].type}=Ready", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
	o, err := c.run(t.Context(), "baseline")
	if err != nil {
		t.Fatal(err)
	}
	// What a rule makes wrong is no fight here: there is nothing to compare with.
	r := row{c, map[string]outcome{"off": o, "baseline": o}}
	wrong := r.judge("baseline")
	if wrong == nil || !strings.Contains(wrong.Error(), "wrong denial: headless-service/in-use refused delete services of services db") {
		t.Errorf("the suite passes although a rule is wrong: %v\n%s", wrong, o.said)
	}
	t.Log(wrong)
}
