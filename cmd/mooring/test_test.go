package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	onePolicy = "apiVersion: mooring.dev/v1alpha1\nkind: StatefulPolicy\nmetadata: {name: one}\nspec: {rules: {scaleDown: {action: Deny, maxStep: 1}}}\n"
	head      = "apiVersion: mooring.dev/v1alpha1\nkind: PolicyTest\npolicies: [policy.yaml]\nobjects: [db.yaml]\ncases:\n"
	twoAtOnce = "- name: two at once\n  ready: [0, 1, 2, 3, 4]\n  old: {kind: StatefulSet}\n  new: {kind: StatefulSet, spec: {replicas: 3}}\n  want: [scale-down/step]\n"
	oneAtOnce = "- name: one\n  ready: [0, 1, 2, 3, 4]\n  old: {kind: StatefulSet}\n  new: {kind: StatefulSet, spec: {replicas: 4}}\n"
)

// TestTest checks the exit code and the output of mooring test.
func TestTest(t *testing.T) {
	for _, tc := range []struct {
		name, args, tests string
		policy            string
		code              int
		says              string
	}{
		{name: "all cases pass", tests: head + twoAtOnce + oneAtOnce, says: "2 passed, 0 failed"},
		{name: "an unexpected finding", tests: head + strings.Replace(twoAtOnce, "want: [scale-down/step]", "want: []", 1), code: 1, says: "FAIL t.yaml:6 two at once\n     unexpected finding: scale-down/step:"},
		{name: "a missing finding", tests: head + oneAtOnce + "  want: [scale-down/step:Warn]\n", code: 1, says: "missing finding: scale-down/step:Warn"},
		{name: "an unexpected default", tests: head + "- name: new\n  new: {kind: StatefulSet}\n", policy: strings.Replace(onePolicy, "scaleDown: {action: Deny, maxStep: 1}", "updateStrategy: {action: Warn, default: {type: OnDelete}}", 1), code: 1, says: `patch spec.updateStrategy.type: got "OnDelete", want nothing`},
		{name: "--run matches one case", args: "--run=^one$", tests: head + twoAtOnce + oneAtOnce, says: "1 passed, 0 failed"},
		{name: "--run matches no case", args: "--run=three", tests: head + twoAtOnce, code: 2, says: "--run=three matches no case"},
		{name: "JUnit", args: "-o junit", tests: head + strings.Replace(twoAtOnce, "scale-down/step", "step", 1), code: 2, says: "<error"},
		{name: "a failure in JUnit", args: "-o junit", tests: head + oneAtOnce + "  want: [scale-down/step]\n", code: 1, says: `<testsuites name="mooring test" tests="1" failures="1"`},
		{name: "JSON", args: "-o json", tests: head + twoAtOnce, says: `"passed": 1,`},
		{name: "no test", tests: "kind: Other\n", code: 2, says: "no test was run"},
		{name: "an unknown field", tests: head + oneAtOnce + "  wants: []\n", code: 2, says: `t.yaml:10: unknown field "wants"`},
		{name: "a field of another type", tests: head + oneAtOnce + strings.Replace(twoAtOnce, "[0, 1", "[a, 1", 1), code: 2, says: "t.yaml:11: ready is a string"},
		{name: "an unknown check", tests: head + oneAtOnce + "  want: [scale-down/stop]\n", code: 2, says: `t.yaml:10: the rule scale-down has no check "stop"; did you mean scale-down/step?`},
		{name: "a duplicate key", tests: head + oneAtOnce + "  name: two\n", code: 2, says: `t.yaml:10: mapping key "name" already defined at line 6`},
		{name: "an incomplete object", tests: head + "- name: x\n  new: {kind: Service}\n", code: 2, says: "t.yaml:6: the Service has no name"},
		{name: "a policy that cannot be used", tests: head + oneAtOnce, policy: strings.Replace(onePolicy, "Deny", "Dny", 1), code: 2, says: `spec.rules.scaleDown.action: Unsupported value: "Dny"`},
		{name: "a missing policy", tests: strings.Replace(head, "policy.yaml", "nothing.yaml", 1) + oneAtOnce, code: 2, says: "t.yaml:3: open nothing.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.policy == "" {
				tc.policy = onePolicy
			}
			files := map[string]string{"policy.yaml": tc.policy, "db.yaml": killed("db", "5"), "t.yaml": tc.tests}
			code, out, errOut := mooring(t, files, "", append([]string{"test"}, strings.Fields(tc.args)...)...)
			if all := out + errOut; code != tc.code || !strings.Contains(all, tc.says) {
				t.Errorf("exit code %d, output:\n%s", code, all)
			}
		})
	}
}

// TestTestPage checks that the example in docs/test.md passes.
func TestTestPage(t *testing.T) {
	t.Chdir("../..")
	page, err := os.ReadFile("docs/test.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"policy.yaml", "db.yaml", "tests.yaml"} {
		text, err := os.ReadFile(filepath.Join("docs/examples/policy-test", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page, append([]byte("```yaml\n"), text...)) {
			t.Errorf("docs/test.md shows another %s", name)
		}
	}
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"test", "docs/examples/policy-test"})
	root.SetOut(&out)
	if code := run(root); code != 0 || !bytes.Contains(page, out.Bytes()) {
		t.Errorf("exit code %d, and the output is not the one in docs/test.md:\n%s", code, out.String())
	}
}

// TestTestWatches says that --watch plays the tests again when a policy changes.
func TestTestWatches(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("policy.yaml", strings.Replace(onePolicy, "maxStep: 1", "maxStep: 2", 1))
	write("db.yaml", killed("db", "5"))
	write("t.yaml", head+twoAtOnce)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	root := newRoot()
	root.SetContext(ctx)
	root.SetArgs([]string{"test", folder, "--watch"})
	heard := make(said)
	root.SetOut(heard)
	root.SetErr(heard)
	ended := make(chan int)
	go func() { ended <- run(root) }()
	heard.await("waiting for a change")
	write("policy.yaml", onePolicy)
	heard.await("1 passed, 0 failed")
	heard.await("waiting for a change")
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// said passes on what a program says.
type said chan string

func (s said) Write(p []byte) (int, error) {
	s <- string(p)
	return len(p), nil
}

// await returns once the program has said the words.
func (s said) await(words string) {
	for heard := range s {
		if strings.Contains(heard, words) {
			return
		}
	}
}
