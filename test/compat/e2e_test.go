package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// e2eFocus and e2eSkip select cases of Kubernetes' own end-to-end tests. The clustered applications need containers.
const (
	e2eFocus = `\[sig-apps\] (StatefulSet|DisruptionController)`
	e2eSkip  = `Deploy clustered applications|Feature:OffByDefault|Disruptive|Listing PodDisruptionBudgets for all namespaces`
)

// e2ePatience is the time limit of a case. It allows for a busy machine.
const e2ePatience = 4 * time.Minute

// e2eLabels makes the API server label the namespaces that a case creates with a profile. The name of the user contains the profile.
const e2eLabels = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: e2e-%[1]s}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [namespaces]}]
  matchConditions: [{name: user, expression: "request.userInfo.username.startsWith('e2e-%[1]s-')"}]
  reinvocationPolicy: Never
  failurePolicy: Fail
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration: {expression: "Object{metadata: Object.metadata{labels: {'mooring.dev/%[2]s': '%[1]s'}}}"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: e2e-%[1]s}
spec: {policyName: e2e-%[1]s}
`

// e2eCase is one of Kubernetes' own cases.
type e2eCase struct {
	name     string
	outcomes map[string]e2eOutcome
}

type e2eOutcome struct {
	passed, late bool
	took         time.Duration
	said         string
	denials      []denial
}

// outOfTime reports whether the case ran out of time without a refusal, because the machine was too slow.
func (o e2eOutcome) outOfTime() bool { return o.late && len(o.denials) == 0 }

func (o e2eOutcome) String() string {
	switch {
	case o.passed:
		return fmt.Sprintf("passed in %.0f s", o.took.Seconds())
	case o.outOfTime():
		return fmt.Sprintf("ran out of time after %.0f s", o.took.Seconds())
	}
	return fmt.Sprintf("failed after %.0f s: %v\n%s", o.took.Seconds(), o.denials, o.said)
}

// e2eSummary is the part of the table about Kubernetes' own cases.
type e2eSummary struct {
	All, OnSimulatedNodes, Warn, Baseline int
	Refused                               []e2eRefusal
}

type e2eRefusal struct {
	Case string
	Seen []seen
}

// e2eSeen is the result of TestE2E.
var e2eSeen *e2eSummary

// e2eRun has the paths of the programs that run the cases.
type e2eRun struct{ program, kubectl string }

// TestE2E runs Kubernetes' own cases for StatefulSets and PodDisruptionBudgets. A case that passes without rules must pass in mode
// warn. Baseline must refuse what e2eRefused lists, and nothing else.
func TestE2E(t *testing.T) {
	if !runs("e2e") {
		t.Skip("-part selects another part")
	}
	ctx := t.Context()
	for profile, label := range map[string]string{"off": "profile", "warn": "mode", "baseline": "profile"} {
		if _, err := shared.Apply(ctx, fmt.Sprintf(e2eLabels, profile, label)); err != nil {
			t.Fatal(err)
		}
	}
	program, err := programNamed("e2e").path()
	if err != nil {
		t.Fatal(err)
	}
	kubectl, err := filepath.Abs("programs/e2e/kubectl")
	if err != nil {
		t.Fatal(err)
	}
	run := e2eRun{program, kubectl}
	names, err := e2eNames(ctx, program)
	if err != nil {
		t.Fatal(err)
	}
	for name := range e2eNeedsContainers {
		if !slices.Contains(names, name) {
			t.Errorf("e2eNeedsContainers lists %q, which is not a case of Kubernetes", name)
		}
	}
	var all []e2eCase
	for _, name := range names {
		if _, needs := e2eNeedsContainers[name]; !needs && (!*quick || slices.Contains(e2eQuick, name)) {
			all = append(all, e2eCase{name, map[string]e2eOutcome{}})
		}
	}
	t.Run("cases", func(t *testing.T) {
		for i, c := range all {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				run.all(ctx, c, i)
			})
		}
	})
	all = slices.DeleteFunc(all, func(c e2eCase) bool { return len(c.outcomes) == 0 })
	for i, c := range all {
		if slices.ContainsFunc(slices.Collect(maps.Values(c.outcomes)), e2eOutcome.outOfTime) {
			t.Logf("running again, with nothing else on the machine: %s", c.name)
			run.all(ctx, c, len(all)+i)
		}
	}
	sum := e2eSummary{All: len(names), OnSimulatedNodes: len(all)}
	for _, c := range all {
		for profile, n := range map[string]*int{"warn": &sum.Warn, "baseline": &sum.Baseline} {
			if c.outcomes[profile].passed {
				*n++
			}
		}
		if err := c.judge(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if wanted := e2eRefused[c.name]; wanted != nil {
			r := e2eRefusal{Case: c.name}
			for _, w := range wanted {
				d := c.outcomes["baseline"].denials[slices.IndexFunc(c.outcomes["baseline"].denials, w.is)]
				r.Seen = append(r.Seen, seen{d.Finding, d.Request, d.Said, w.why})
			}
			sum.Refused = append(sum.Refused, r)
		}
		t.Logf("%3.0f s: %s", c.outcomes["off"].took.Seconds(), c.name)
	}
	e2eSeen = &sum
}

// all runs the case under every profile, unless it fails without rules.
func (r e2eRun) all(ctx context.Context, c e2eCase, i int) {
	for _, profile := range []string{"off", "warn", "baseline"} {
		c.outcomes[profile] = r.run(ctx, c.name, profile, i)
		if !c.outcomes["off"].passed {
			return
		}
	}
}

// judge returns everything that went wrong.
func (c e2eCase) judge() error {
	off, warn, baseline := c.outcomes["off"], c.outcomes["warn"], c.outcomes["baseline"]
	if !off.passed {
		return fmt.Errorf("without rules it %s", off)
	}
	var wrong error
	if !warn.passed || len(warn.denials) > 0 {
		wrong = errors.Join(wrong, fmt.Errorf("in mode warn it %s", warn))
	}
	wanted := e2eRefused[c.name]
	if baseline.passed != (wanted == nil) {
		wrong = errors.Join(wrong, fmt.Errorf("under baseline, which must refuse %d requests, it %s", len(wanted), baseline))
	}
	for _, d := range baseline.denials {
		if !slices.ContainsFunc(wanted, func(w refusal) bool { return w.is(d) }) {
			wrong = errors.Join(wrong, fmt.Errorf("unexpected denial under baseline: %s", d))
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(baseline.denials, w.is) {
			wrong = errors.Join(wrong, fmt.Errorf("%s did not refuse %q: %s", w.finding, w.request, w.why))
		}
	}
	return wrong
}

func (s e2eSummary) write(page *bytes.Buffer) {
	fmt.Fprintf(page, `
## Kubernetes' own tests

The suite selects %d of Kubernetes' end-to-end tests: those for StatefulSets and PodDisruptionBudgets. %d of them pass on simulated nodes;
the others need containers. In mode warn, %d pass; under baseline, %d. Baseline refuses these requests:

| test | finding | request | example message | why a user of baseline wants that |
| --- | --- | --- | --- | --- |
`, s.All, s.OnSimulatedNodes, s.Warn, s.Baseline)
	for _, r := range s.Refused {
		for _, seen := range r.Seen {
			fmt.Fprintf(page, "| %s | %s | %s | %s | %s |\n", strings.TrimPrefix(r.Case, "[sig-apps] "), seen.Finding, seen.Request, seen.Said, seen.Why)
		}
	}
}

func e2eNames(ctx context.Context, program string) ([]string, error) {
	report := filepath.Join(shared.Dir, "e2e.json")
	cmd := exec.CommandContext(ctx, program, "-test.run=TestE2E", "-ginkgo.dry-run", "-ginkgo.focus="+e2eFocus, "-ginkgo.skip="+e2eSkip,
		"-ginkgo.json-report="+report, "--kubeconfig="+shared.Kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("listing Kubernetes' own cases: %w\n%s", err, out)
	}
	data, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	var reports []struct {
		SpecReports []struct {
			State                   string
			ContainerHierarchyTexts []string
			LeafNodeText            string
		}
	}
	if err := json.Unmarshal(data, &reports); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, report := range reports {
		for _, spec := range report.SpecReports {
			if spec.State == "passed" {
				names[strings.Join(append(spec.ContainerHierarchyTexts, spec.LeafNodeText), " ")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// run runs a case under one profile, as its own user.
func (r e2eRun) run(ctx context.Context, name, profile string, i int) (o e2eOutcome) {
	began := time.Now()
	defer func() { o.took = time.Since(began) }()
	user := fmt.Sprintf("e2e-%s-%d", profile, i)
	kubeconfig, err := shared.KubeconfigFor(user, "system:masters")
	if err != nil {
		o.said = err.Error()
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, e2ePatience+20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, "-test.run=TestE2E", "-ginkgo.no-color", "-ginkgo.focus="+regexp.QuoteMeta(name)+"$",
		"-ginkgo.timeout="+e2ePatience.String(), "--kubeconfig="+kubeconfig, "--kubectl-path="+r.kubectl, "--provider=skeleton",
		"--dump-logs-on-failure=false")
	cmd.Env = append(os.Environ(), "KUBECTL="+shared.Kubectl(ctx).Path)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	// Ginkgo also succeeds if it does not find the case.
	o.said, o.passed = string(out), err == nil && strings.Contains(string(out), "1 Passed")
	o.late = !o.passed && time.Since(began) >= e2ePatience
	o.denials, err = shared.audit.denialsOfUser(user)
	if err != nil {
		o.said, o.passed = err.Error(), false
	}
	return o
}
