// Package compat runs programs that nobody here wrote on a cluster with Mooring: kubectl, Helm,
// GitOps tools, operators, and Kubernetes' own end-to-end cases. Each does its work without Mooring's rules first, then under each profile, and what it
// was refused, what drifted and what was written again and again is compared. The programs come from the Go module proxy.
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
	quick   = flag.Bool("quick", false, "run the part that fits in ten minutes on two cores")
	only    = flag.String("part", "", "run one `part`: "+strings.Join(parts, ", "))
	results = flag.String("results", "", "keep what became of the part in this `folder`, where it passes")
	table   = flag.String("table", "", "run nothing, and write what became of all parts to this `file`, as Markdown")
)

// parts are what the suite can run on its own.
var parts = []string{"kubectl", "helm", "gitops", "movers", "operators", "e2e"}

// runs tells whether a part of the suite is asked for.
func runs(part string) bool { return *only == "" || *only == part }

// shared is the one cluster that all cases run on, each in namespaces of its own.
var shared cluster

type cluster struct {
	*harness.Installation
	audit *auditLog
	// patroni is where Zalando's operator asks its databases.
	patroni string
}

func TestMain(m *testing.M) {
	flag.Parse()
	var code int
	// Cases wait more than they compute.
	err := flag.Set("test.parallel", "6")
	switch {
	case err != nil:
	case *table != "":
		err = merge(*results, *table)
	case *only != "" && !slices.Contains(parts, *only):
		err = fmt.Errorf("-part=%s is none of %s", *only, strings.Join(parts, ", "))
	case *only == "" && *results != "":
		err = errors.New("-results keeps what became of a part. Fix: name it with -part")
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
		// What a run left that passed says nothing of this one.
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
	// A node takes 110 Pods.
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
	// There is one replica, and a busy machine must not cost it its lease.
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

// again is refused to kwok alone, which writes a volume once more where it saw the claim too early. A provisioner creates its volume and leaves it:
// the provisioner's case shows it.
var again = refusal{finding: "volume-retain/reclaim", request: "patch persistentvolumes"}

// bystandersAreLeftAlone fails where the cluster's own programs were refused anything.
func bystandersAreLeftAlone() (wrong error) {
	refused, err := shared.audit.bystanders()
	for _, d := range refused {
		if d.User != "system:node:kwok" || !again.is(d) {
			wrong = errors.Join(wrong, fmt.Errorf("wrong denial: %s", d))
		}
	}
	return errors.Join(err, wrong)
}
