// Package compat runs programs of other projects on a cluster with Mooring: kubectl, Helm, GitOps tools, operators, and Kubernetes' own
// end-to-end tests. Each case runs first without Mooring's rules, then under each profile. The suite compares which requests were
// refused, which objects drifted, and which were written too often. The programs come from the Go module proxy.
package compat

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

var (
	quick   = flag.Bool("quick", false, "run only the cases that fit in ten minutes on two cores")
	only    = flag.String("part", "", "run one `part`: "+strings.Join(parts, ", "))
	results = flag.String("results", "", "if the part passes, write its results to this `folder`")
	table   = flag.String("table", "", "run no cases, and write the results of all parts to this `file` as Markdown")
)

// parts are the parts of the suite, which can run separately.
var parts = []string{"kubectl", "helm", "gitops", "movers", "operators", "e2e"}

// runs reports whether a part of the suite is selected.
func runs(part string) bool { return *only == "" || *only == part }

// shared is the cluster that all cases run on, each in its own namespaces.
var shared cluster

type cluster struct {
	*harness.Installation
	audit *auditLog
	// patroni is the URL of the proxy that stands in for the databases of Zalando's operator.
	patroni string
}

func TestMain(m *testing.M) {
	flag.Parse()
	var code int
	// Cases wait more than they compute, so more of them can run than there are cores.
	err := flag.Set("test.parallel", "6")
	switch {
	case err != nil:
	case *table != "":
		err = merge(*results, *table)
	case *only != "" && !slices.Contains(parts, *only):
		err = fmt.Errorf("unknown -part=%s. Fix: use %s", *only, strings.Join(parts, ", "))
	case *only == "" && *results != "":
		err = errors.New("-results writes the results of one part. Fix: name it with -part")
	default:
		code, err = run(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if err := buildPrograms(context.Background()); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	kept := partFile(*results, *only)
	if *results != "" {
		// The result of an earlier run says nothing about this one.
		if err := cmp.Or(os.MkdirAll(*results, 0o755), os.RemoveAll(kept)); err != nil {
			return 0, err
		}
	}
	dir, err := os.MkdirTemp("", "mooring-compat-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	policy, log := filepath.Join(dir, "audit-policy.yaml"), filepath.Join(dir, "audit.log")
	rules := auditPolicy + metadata
	if *record != "" {
		rules = auditPolicy + recordedPolicy + metadata
	}
	if err := os.WriteFile(policy, []byte(rules), 0o644); err != nil {
		return 0, err
	}
	// A node runs at most 110 Pods.
	cp, err := controlplane.Run(ctx, controlplane.Options{
		Nodes: 12, Dir: dir,
		APIServerArgs: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + log},
		ControllerManagerArgs: []string{
			"--kube-api-qps=300", "--kube-api-burst=300", "--concurrent-statefulset-syncs=20", "--concurrent-gc-syncs=40",
			"--concurrent-namespace-syncs=20", "--horizontal-pod-autoscaler-sync-period=2s",
		},
	})
	if err != nil {
		return 0, err
	}
	defer cp.Stop()
	// The only replica must not lose its lease on a busy machine.
	in, err := harness.On(ctx, cp, harness.Options{Args: []string{"--leader-elect=false"}})
	if err != nil {
		return 0, err
	}
	defer in.Stop()
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	shared = cluster{in, &auditLog{path: log}, servePatroni(serving)}
	if err := in.ServeMetrics(serving); err != nil {
		return 0, err
	}
	code = m.Run()
	if err := bystandersAreLeftAlone(); err != nil || code != 0 || *results == "" {
		return code, err
	}
	return 0, keepPart(serving, kept)
}

// again is a refusal that only kwok causes: kwok writes a volume twice if it sees the claim too early. A real provisioner creates a volume
// and then leaves it alone, as the provisioner's case shows.
var again = refusal{finding: "volume-retain/reclaim", request: "patch persistentvolumes"}

// bystandersAreLeftAlone returns an error if Mooring refused a request of the cluster's own components.
func bystandersAreLeftAlone() (wrong error) {
	refused, err := shared.audit.bystanders()
	for _, d := range refused {
		if d.User != "system:node:kwok" || !again.is(d) {
			wrong = errors.Join(wrong, fmt.Errorf("unexpected denial: %s", d))
		}
	}
	return errors.Join(err, wrong)
}
