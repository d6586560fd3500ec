// Package audit tests the audit of a live cluster and the scanner on a real control plane.
package audit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// cluster is a control plane with Mooring, which the tests share. Its scanner scans everything every second.
var cluster *harness.Installation

func TestMain(m *testing.M) {
	os.Exit(func() int {
		ctx := context.Background()
		cp, err := controlplane.Run(ctx, controlplane.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cp.Stop()
		cluster, err = harness.On(ctx, cp, harness.Options{Args: []string{"--scan-interval=1s", "--scan-stuck-after=1s"}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cluster.Stop()
		return m.Run()
	}())
}

// kubectl runs kubectl as administrator; it must succeed.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := cluster.Run(t.Context(), cluster.Kubeconfig, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// namespace creates a namespace for the test.
func namespace(t *testing.T, name string) {
	t.Helper()
	kubectl(t, "", "create", "namespace", name)
	t.Cleanup(func() {
		_, _ = cluster.Run(context.Background(), cluster.Kubeconfig, "", "annotate", "namespace", name, "mooring.dev/bypass=delete-protection", "mooring.dev/bypass-reason=the test is over")
		_, _ = cluster.Run(context.Background(), cluster.Kubeconfig, "", "delete", "namespace", name, "--wait=false")
	})
}

// mooring runs Mooring's binary, and returns standard output, standard error and the exit code.
func mooring(t *testing.T, kubeconfig string, args ...string) (string, string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(cluster.Dir, "mooring"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// await polls until the condition is true.
func await(t *testing.T, what string, condition func() error) {
	t.Helper()
	if err := harness.Await(t.Context(), func(context.Context) error { return condition() }); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}
