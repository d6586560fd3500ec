package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// e2eFocus are Kubernetes' own cases that are run. The clustered applications need containers.
const (
	e2eFocus = `\[sig-apps\] (StatefulSet|DisruptionController)`
	e2eSkip  = `Deploy clustered applications|Feature:OffByDefault|Disruptive|Listing PodDisruptionBudgets for all namespaces`
)

// e2ePatience is how long one of Kubernetes' cases may take; what needs longer waits for a container.
const e2ePatience = 100 * time.Second

// e2eAllowance says why baseline refuses something that a case of Kubernetes' does.
type e2eAllowance struct{ finding, why string }

// e2eLabels has the API server put a profile on the namespaces that a case makes: its user's name says which.
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

// e2eCase is one of Kubernetes' own.
type e2eCase struct {
	name     string
	outcomes map[string]e2eOutcome
}

type e2eOutcome struct {
	passed  bool
	took    time.Duration
	said    string
	denials []denial
}

var e2eRows []e2eCase

// TestE2E runs Kubernetes' own cases of StatefulSets and of disruption budgets. What passes without rules passes in mode
// warn; what baseline refuses is in e2eRefused.
func TestE2E(t *testing.T) {
	ctx := t.Context()
	for profile, label := range map[string]string{"off": "profile", "warn": "mode", "baseline": "profile", "restricted": "profile"} {
		if _, err := shared.Apply(ctx, fmt.Sprintf(e2eLabels, profile, label)); err != nil {
			t.Fatal(err)
		}
	}
	program, err := programNamed("e2e").build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	names, err := e2eNames(ctx, program)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]e2eCase, len(names))
	var group sync.WaitGroup
	free := make(chan struct{}, 8)
	for i, name := range names {
		if *quick && !slices.Contains(e2eQuick, name) {
			continue
		}
		all[i] = e2eCase{name, map[string]e2eOutcome{}}
		group.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			for _, profile := range []string{"off", "warn", "baseline"} {
				o := runE2E(ctx, program, name, profile, i)
				all[i].outcomes[profile] = o
				if !all[i].outcomes["off"].passed {
					break
				}
			}
		})
	}
	group.Wait()
	for _, c := range all {
		if c.name == "" {
			continue
		}
		e2eRows = append(e2eRows, c)
		off, warn, baseline := c.outcomes["off"], c.outcomes["warn"], c.outcomes["baseline"]
		if !off.passed {
			t.Logf("not on simulated nodes (%.0f s): %s", off.took.Seconds(), c.name)
			continue
		}
		t.Logf("%3.0f s %v %v %v: %s", off.took.Seconds(), off.passed, warn.passed, baseline.passed, c.name)
		if !warn.passed || len(warn.denials) > 0 {
			t.Errorf("%s passes without rules and not in mode warn: %v\n%s", c.name, warn.denials, warn.said)
		}
		allowed, listed := e2eRefused[c.name]
		switch {
		case baseline.passed && listed:
			t.Errorf("%s passes under baseline, and is listed as refused by %s: %s", c.name, allowed.finding, allowed.why)
		case !baseline.passed && !listed:
			t.Errorf("%s fails under baseline: %v\n%s", c.name, baseline.denials, baseline.said)
		}
		for _, d := range baseline.denials {
			if !listed || !slices.Contains(strings.Split(allowed.finding, ", "), d.Finding) {
				t.Errorf("%s: wrong denial under baseline: %s", c.name, d)
			}
		}
	}
}

func e2eNames(ctx context.Context, program string) ([]string, error) {
	report := filepath.Join(shared.Dir, "e2e.json")
	cmd := exec.CommandContext(ctx, program, "-test.run=TestE2E", "-ginkgo.dry-run", "-ginkgo.focus="+e2eFocus, "-ginkgo.skip="+e2eSkip,
		"-ginkgo.json-report="+report, "--kubeconfig="+shared.Kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("listing Kubernetes' cases: %w\n%s", err, out)
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

func runE2E(ctx context.Context, program, name, profile string, i int) (o e2eOutcome) {
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
	kubectl, err := filepath.Abs("programs/e2e/kubectl")
	if err != nil {
		o.said = err.Error()
		return o
	}
	cmd := exec.CommandContext(ctx, program, "-test.run=TestE2E", "-ginkgo.no-color", "-ginkgo.focus="+regexp.QuoteMeta(name)+"$",
		"-ginkgo.timeout="+e2ePatience.String(), "--kubeconfig="+kubeconfig, "--kubectl-path="+kubectl, "--provider=skeleton",
		"--dump-logs-on-failure=false")
	cmd.Env = append(os.Environ(), "KUBECTL="+shared.Kubectl(ctx).Path)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	// A case that is not found is none that passed.
	o.said, o.passed = string(out), err == nil && strings.Contains(string(out), "1 Passed")
	o.denials, err = shared.audit.denialsOfUser(user)
	if err != nil {
		o.said, o.passed = err.Error(), false
	}
	return o
}
