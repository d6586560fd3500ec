package faults

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/test/harness"
)

// fault is something that breaks, and is whole again when breaks returns.
type fault struct {
	name string
	// breaks breaks and repairs it.
	breaks func(*testing.T)
	// kills means that reviews in flight are cut off, which the API server does not retry.
	kills bool
	// outage means that correct requests may be refused meanwhile, and says why.
	outage string
}

var faults = []fault{
	{"nothing", func(*testing.T) { time.Sleep(*calm) }, false, ""},
	{"one of two replicas killed (kill -9), and started again", func(t *testing.T) {
		shared.second.Kill()
		time.Sleep(*calm)
		restart(t, shared.second)
	}, true, ""},
	{"rolling restart: each replica ends on SIGTERM after another is ready", func(t *testing.T) {
		extra, err := shared.Replica(t.Context(), "--drain-delay=1s")
		if err != nil {
			t.Fatal(err)
		}
		shared.balancer.Add(extra)
		for _, in := range shared.replicas() {
			if err := in.Terminate(); err != nil {
				t.Fatal(err)
			}
			stopped(t, in)
			restart(t, in)
		}
		if err := extra.Stop(); err != nil {
			t.Error(err)
		}
		shared.balancer.Remove(extra)
	}, false, ""},
	{"the leader killed (kill -9)", func(t *testing.T) {
		leads, follows := shared.leader(t)
		leads.Kill()
		await(t, "the other replica to lead", func() error {
			if n, err := follows.Metric(t.Context(), "leader_election_master_status"); err != nil || n != 1 {
				return fmt.Errorf("it does not lead: %v %v", n, err)
			}
			return nil
		})
		restart(t, leads)
	}, true, ""},
	{"the leader loses its lease to somebody else, and ends", func(t *testing.T) {
		leads, _ := shared.leader(t)
		steal := `{"spec":{"holderIdentity":"thief","leaseDurationSeconds":15,"renewTime":"` + time.Now().UTC().Format("2006-01-02T15:04:05.000000Z") + `"}}`
		if _, err := shared.Run(t.Context(), shared.Kubeconfig, "", "-n", "mooring-system", "patch", "lease", "mooring-leader", "--type=merge", "-p", steal); err != nil {
			t.Fatal(err)
		}
		stopped(t, leads)
		restart(t, leads)
	}, false, ""},
	{"the API server killed (kill -9), and started again", func(t *testing.T) {
		if err := shared.Component("kube-apiserver").Restart(); err != nil {
			t.Fatal(err)
		}
		apiServerReady(t)
	}, false, ""},
	{"etcd hangs for two seconds", hang(2 * time.Second), false, ""},
	{"etcd hangs for eight seconds", hang(8 * time.Second), false, ""},
	{"self-signed: two CAs and the leaves below them rotated", rotate, false, ""},
	{"all replicas down until their certificate had expired, and started again", startExpired, true, "guard fails closed while nobody answers"},
	{"all replicas killed (kill -9), and started again", func(t *testing.T) {
		for _, in := range shared.replicas() {
			in.Kill()
		}
		time.Sleep(*calm)
		restart(t, shared.replicas()...)
	}, true, "guard fails closed while nobody answers"},
}

func hang(long time.Duration) func(*testing.T) {
	return func(t *testing.T) {
		etcd := shared.Component("etcd")
		if err := etcd.Pause(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(long)
		if err := etcd.Resume(); err != nil {
			t.Fatal(err)
		}
		apiServerReady(t)
	}
}

// rotating are the two replicas with short-lived certificates, while they run.
var rotating []*harness.Installation

// rotate replaces the shared replicas by two whose certificates live for seconds, and deletes the Secret, which forces a new CA. It
// ends when the next CA has issued a leaf that both serve.
func rotate(t *testing.T) {
	for range 2 {
		in, err := shared.Replica(t.Context(), "--cert-validity=24s", "--cert-ca-validity=54s", "--cert-settle=2s")
		if err != nil {
			t.Fatal(err)
		}
		rotating = append(rotating, in)
		shared.balancer.Add(in)
	}
	for _, in := range shared.replicas() {
		shared.balancer.Remove(in)
		if err := in.Stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := shared.Run(t.Context(), shared.Kubeconfig, "", "-n", "mooring-system", "delete", "secret", "mooring-webhook-cert"); err != nil {
		t.Fatal(err)
	}
	issuers := map[string]bool{}
	await(t, "two new CAs", func() error {
		leaves := []*x509.Certificate{served(t, rotating[0]), served(t, rotating[1])}
		if leaves[0].Equal(leaves[1]) && time.Until(leaves[0].NotAfter) < time.Minute {
			issuers[string(leaves[0].AuthorityKeyId)] = true
		}
		if len(issuers) < 2 {
			return fmt.Errorf("%d CAs have issued leaves so far", len(issuers))
		}
		return nil
	})
}

// startExpired stops the replicas of rotate, waits until their certificate has expired, and starts the shared ones.
func startExpired(t *testing.T) {
	for _, in := range rotating {
		shared.balancer.Remove(in)
		in.Kill()
	}
	time.Sleep(time.Until(lastServed.NotAfter) + time.Second)
	for _, in := range shared.replicas() {
		shared.balancer.Add(in)
	}
	restart(t, shared.replicas()...)
}

// lastServed is the last result of served.
var lastServed *x509.Certificate

// served returns the certificate that a replica serves.
func served(t *testing.T, in *harness.Installation) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(in.Webhook, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lastServed = conn.ConnectionState().PeerCertificates[0]
	return lastServed
}

// perSecond is the load's request rate.
const perSecond = 15

// TestFaults breaks one thing after the other under load. Guard must never admit a wrong request, and no correct one may be refused
// unless the fault says so.
func TestFaults(t *testing.T) {
	startShared(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { measure(t, &shared, f) })
	}
}

// measure breaks something under load and adds the result to the table.
func measure(t *testing.T, c *cluster, f fault) {
	t.Helper()
	await(t, "every replica to be ready", func() error {
		var errs []error
		for _, in := range c.balancer.Replicas() {
			_, err := harness.Get(t.Context(), in.Health+"/readyz")
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	load, err := harness.StartLoad(c.Kubeconfig, perSecond)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(*calm)
	f.breaks(t)
	time.Sleep(*calm)
	tally := load.Stop()
	t.Log(tally)
	if tally.WronglyAdmitted > 0 {
		t.Errorf("guard admitted %d requests that are wrong", tally.WronglyAdmitted)
	}
	wrongly := tally.WronglyRefused
	if f.kills {
		wrongly -= tally.CutOff
	}
	if wrongly > 0 && f.outage == "" {
		t.Errorf("%d requests were refused that are right", wrongly)
	}
	if tally.Requests == tally.Unanswered {
		t.Error("no request was answered")
	}
	rows = append(rows, row(f, tally))
}

// rows are the rows of the table so far.
var rows = []string{
	"| fault | requests | wrongly refused | wrongly admitted by guard | wrong, not judged by lint | no answer from the API server | longest gap |",
	"| --- | --- | --- | --- | --- | --- | --- |",
}

func row(f fault, t harness.Tally) string {
	name := f.name
	if f.outage != "" {
		name += " (" + f.outage + ")"
	}
	wrongly := fmt.Sprint(t.WronglyRefused)
	if t.CutOff > 0 {
		wrongly += fmt.Sprintf(" (%d cut off)", t.CutOff)
	}
	return fmt.Sprintf("| %s | %d | %s | %d | %d | %d | %.1f s |", name, t.Requests, wrongly, t.WronglyAdmitted, t.Unjudged, t.Unanswered, t.LongestGap.Seconds())
}
