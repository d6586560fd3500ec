// Package faults tests admission while things break: Mooring's replicas, their certificates, the API server and etcd. It runs two
// replicas behind one address on a real control plane, under a load whose correct answers are known.
package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

var (
	table = flag.String("table", "", "put the table of faults into this Markdown `file`, between its two marks")
	calm  = flag.Duration("calm", 2*time.Second, "how long the load goes on before a fault and after it")
	soak  = flag.Duration("soak", 20*time.Second, "how long the soak test takes")
)

// cluster is a control plane with two replicas of Mooring behind one address.
type cluster struct {
	*harness.Installation
	balancer *harness.Balancer
	second   *harness.Installation
}

var shared cluster

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	shared.stop()
	if shared.Installation != nil {
		shared.ControlPlane.Stop()
	}
	if *table != "" {
		if err := fill(*table, strings.Join(rows, "\n")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// startShared starts the cluster that most tests share, once.
func startShared(t *testing.T) {
	t.Helper()
	if shared.Installation != nil {
		return
	}
	ctx := context.Background() // TestMain stops it
	cp, err := controlplane.Run(ctx, controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.start(ctx, cp, harness.Options{}); err != nil {
		if shared.Installation == nil {
			cp.Stop()
		}
		t.Fatal(err)
	}
}

// fill puts the rows between the two marks of the page.
func fill(file, rows string) error {
	const begin, end = "<!-- table -->", "<!-- end -->"
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(page), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return fmt.Errorf("%s lacks %s or %s", file, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+"\n"+rows+"\n"+end+after), 0o644)
}

// start installs Mooring twice on a control plane, and the load's database.
func (c *cluster) start(ctx context.Context, cp *controlplane.ControlPlane, o harness.Options) (err error) {
	if c.balancer, err = harness.NewBalancer(ctx); err != nil {
		return err
	}
	o.URL, o.Args = c.balancer.URL, append(o.Args, "--drain-delay=1s")
	if c.Installation, err = harness.On(ctx, cp, o); err != nil {
		return err
	}
	c.balancer.Add(c.Installation)
	if err = c.Guarded(ctx); err != nil {
		return err
	}
	if c.second, err = c.Replica(ctx, o.Args...); err != nil {
		return err
	}
	c.balancer.Add(c.second)
	if _, err = c.Apply(ctx, harness.Database); err != nil {
		return err
	}
	_, err = c.Run(ctx, c.Kubeconfig, "", "-n", "load", "rollout", "status", "statefulset/db", "--timeout=60s")
	return err
}

func (c *cluster) stop() {
	for _, in := range []*harness.Installation{c.second, c.Installation} {
		if in != nil {
			_ = in.Stop()
		}
	}
}

func (c *cluster) replicas() []*harness.Installation {
	return []*harness.Installation{c.Installation, c.second}
}

// leader returns the leading replica, and the other one.
func (c *cluster) leader(t *testing.T) (leads, follows *harness.Installation) {
	t.Helper()
	await(t, "a leader", func() error {
		for i, in := range c.replicas() {
			if n, err := in.Metric(t.Context(), "leader_election_master_status"); err == nil && n == 1 {
				leads, follows = in, c.replicas()[1-i]
				return nil
			}
		}
		return fmt.Errorf("no replica leads")
	})
	return leads, follows
}

// restart starts replicas that were stopped or killed.
func restart(t *testing.T, replicas ...*harness.Installation) {
	t.Helper()
	for _, in := range replicas {
		if err := in.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// stopped waits for replicas that were told to stop.
func stopped(t *testing.T, replicas ...*harness.Installation) {
	t.Helper()
	for _, in := range replicas {
		if err := in.Wait(); err != nil {
			t.Logf("the replica ended with %v", err)
		}
	}
}

// apiServerReady waits until the API server is ready, even if other components have ended.
func apiServerReady(t *testing.T) {
	t.Helper()
	await(t, "the API server", func() error {
		_, err := shared.Run(t.Context(), shared.Kubeconfig, "", "get", "--raw=/readyz")
		return err
	})
}

func await(t *testing.T, what string, condition func() error) {
	t.Helper()
	if err := harness.Await(t.Context(), func(context.Context) error { return condition() }); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}
