// Package e2e tests Mooring as users have it: installed from its chart on a real control plane, with kubectl and client-go as
// clients.
package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// cluster is a control plane with Mooring, which the tests share. Each test has its own namespace.
var cluster *harness.Installation

func TestMain(m *testing.M) {
	os.Exit(func() int {
		cp, err := controlplane.Run(context.Background(), controlplane.Options{
			// An autoscaler acts every second instead of every 15.
			ControllerManagerArgs: []string{"--horizontal-pod-autoscaler-sync-period=1s"},
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cp.Stop()
		if cluster, err = harness.On(context.Background(), cp, harness.Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cluster.Stop()
		return m.Run()
	}())
}

var namespaces atomic.Int32

// shell runs kubectl in its own namespace.
type shell struct {
	*testing.T
	namespace  string
	kubeconfig string
}

// newShell creates the test's namespace with labels as key=value, as administrator.
func newShell(t *testing.T, labels ...string) shell {
	t.Helper()
	s := shell{t, fmt.Sprintf("e2e-%d", namespaces.Add(1)), cluster.Kubeconfig}
	s.must("create", "namespace", s.namespace)
	for _, l := range labels {
		s.must("label", "namespace", s.namespace, l)
	}
	t.Cleanup(func() {
		// The control plane is stopped at the end, so do not wait for the namespace.
		_, _ = cluster.Run(context.Background(), cluster.Kubeconfig, "", "delete", "namespace", s.namespace, "--wait=false")
	})
	return s
}

// try runs kubectl. NAMESPACE in the arguments and the input stands for the test's namespace.
func (s shell) try(stdin string, args ...string) (string, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	filled := append([]string{"-n", s.namespace}, args...)
	return cluster.Run(ctx, s.kubeconfig, strings.ReplaceAll(stdin, "NAMESPACE", s.namespace), filled...)
}

// must runs kubectl, which must succeed.
func (s shell) must(args ...string) string {
	s.Helper()
	return s.mustWith("", args...)
}

func (s shell) mustWith(stdin string, args ...string) string {
	s.Helper()
	out, err := s.try(stdin, args...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// refused runs kubectl, which must be refused with all of these texts.
func (s shell) refused(want []string, args ...string) string {
	s.Helper()
	return s.refusedWith("", want, args...)
}

func (s shell) refusedWith(stdin string, want []string, args ...string) string {
	s.Helper()
	out, err := s.try(stdin, args...)
	if err == nil {
		s.Fatalf("kubectl %s was not refused:\n%s", strings.Join(args, " "), out)
	}
	for _, w := range append(want, "denied the request") {
		if !strings.Contains(out, w) {
			s.Errorf("kubectl %s: the refusal does not say %q:\n%s", strings.Join(args, " "), w, out)
		}
	}
	return out
}

// eventually runs kubectl until it succeeds with this output: a new binding takes a moment.
func (s shell) eventually(args []string, want string) {
	s.Helper()
	await(s.T, func() error {
		if out, err := s.try("", args...); err != nil || !strings.Contains(out, want) {
			return fmt.Errorf("kubectl %s never said %q:\n%s", strings.Join(args, " "), want, out)
		}
		return nil
	})
}

// settled waits until the StatefulSet db has exactly this many Pods, all ready.
func (s shell) settled(replicas int) {
	s.Helper()
	n := fmt.Sprint(replicas)
	s.must("wait", "statefulset/db", "--for=jsonpath={.status.replicas}="+n, "--timeout=60s")
	s.must("wait", "statefulset/db", "--for=jsonpath={.status.availableReplicas}="+n, "--timeout=60s")
}

// ready makes a Pod ready or not. kwok does not change it back.
func (s shell) ready(pod string, ready bool) {
	s.Helper()
	status := map[bool]string{true: "True", false: "False"}[ready]
	s.must("patch", "pod", pod, "--subresource=status", "--type=strategic", "-p", `{"status":{"conditions":[{"type":"Ready","status":"`+status+`"}]}}`)
}

const service = `
apiVersion: v1
kind: Service
metadata: {name: db, namespace: NAMESPACE}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
`

// statefulSet returns a manifest with these lines in its spec.
func statefulSet(lines ...string) string {
	return harness.StatefulSet("NAMESPACE", lines...)
}

func restConfig(t *testing.T, kubeconfig string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	return config
}

func clientFor(t *testing.T, kubeconfig string) kubernetes.Interface {
	t.Helper()
	return kubernetes.NewForConfigOrDie(restConfig(t, kubeconfig))
}
