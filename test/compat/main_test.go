// Package compat runs programs that nobody here wrote on a cluster with Mooring: kubectl, Helm,
// GitOps tools, operators, and Kubernetes' own end-to-end cases. Each does its work without Mooring's rules first, then under each profile, and what it
// was refused, what drifted and what was written again and again is compared. The programs come from the Go module proxy.
package compat

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

var (
	quick = flag.Bool("quick", false, "run the part that fits in ten minutes on two cores")
	table = flag.String("table", "", "write what became of every case to this `file`, as Markdown")
)

// shared is the one cluster that all cases run on, each in namespaces of its own.
var shared cluster

type cluster struct {
	*harness.Installation
	audit *auditLog
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "mooring-compat-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	policy, log := filepath.Join(dir, "audit-policy.yaml"), filepath.Join(dir, "audit.log")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o644); err != nil {
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
	in, err := harness.On(ctx, cp, harness.Options{})
	if err != nil {
		return 0, err
	}
	defer in.Stop()
	shared = cluster{in, &auditLog{path: log}}
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	if err := in.ServeMetrics(serving); err != nil {
		return 0, err
	}
	if code = m.Run(); *table != "" {
		return code, writeTable(context.Background(), *table)
	}
	return code, nil
}
