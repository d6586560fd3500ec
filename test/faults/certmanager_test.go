package faults

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/deploy"
	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// issued is a control plane with cert-manager, and Mooring with its certificate.
type issued struct {
	cluster
	*testing.T
}

// TestCertManager runs cert-manager's controllers and cainjector with Mooring under load: the leaf is renewed, then its CA, then
// its Secret is deleted, then the issuer is invalid. At the end, only what serve requests is there.
func TestCertManager(t *testing.T) {
	ctx := context.Background() // what is stopped in a cleanup outlives the test's own
	cp := controlplane.Start(t, controlplane.Options{})
	stop, err := harness.CertManager(ctx, cp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(cp.Dir, "certmanager.log"))
			t.Logf("cert-manager's log ends with\n%s", log[max(0, len(log)-4000):])
		}
	})
	c := &issued{T: t}
	t.Cleanup(c.stop)
	values := map[string]any{"certs": map[string]any{"mode": "cert-manager", "extraNames": []any{"127.0.0.1"}}}
	args := []string{"--cert-mode=cert-manager", "--cert-issuer=Issuer/mooring-ca", "--cert-settle=2s"}
	if err := c.start(ctx, cp, harness.Options{Values: values, Args: args}); err != nil {
		t.Fatal(err)
	}

	for _, f := range []fault{
		{"cert-manager: the leaf renewed", func(t *testing.T) {
			before := served(t, c.Installation)
			c.renew("mooring-webhook-cert")
			c.servesAnother(before)
		}, false, ""},
		{"cert-manager: its CA renewed, and the leaf below it", func(t *testing.T) {
			before, authority := served(t, c.Installation), c.get("secret", "mooring-ca", "{.data.tls\\.crt}")
			c.renew("mooring-ca")
			await(t, "a new CA", func() error {
				if c.get("secret", "mooring-ca", "{.data.tls\\.crt}") == authority {
					return errors.New("the CA is the old one")
				}
				return nil
			})
			c.renew("mooring-webhook-cert")
			after := c.servesAnother(before)
			if string(after.AuthorityKeyId) == string(before.AuthorityKeyId) {
				t.Error("the new leaf is not from a new CA")
			}
		}, false, ""},
		{"cert-manager: the Secret with the leaf deleted", func(t *testing.T) {
			before := served(t, c.Installation)
			c.kubectl("delete", "secret", "mooring-webhook-cert")
			c.servesAnother(before)
		}, false, ""},
	} {
		t.Run(f.name, func(t *testing.T) {
			c.T = t
			measure(t, &c.cluster, f)
		})
	}

	t.Run("a wrong issuer", func(t *testing.T) {
		c.T = t
		c.wrongIssuer(args)
	})
	t.Run("nothing there but what serve asks for", func(t *testing.T) {
		c.T = t
		c.ensures()
	})
}

func (c *issued) kubectl(args ...string) string {
	c.Helper()
	out, err := c.Run(context.Background(), c.Kubeconfig, "", append([]string{"-n", deploy.Namespace}, args...)...)
	if err != nil {
		c.Error(err)
	}
	return out
}

func (c *issued) Run(ctx context.Context, kubeconfig, stdin string, args ...string) (string, error) {
	return c.Installation.Run(ctx, kubeconfig, stdin, args...)
}

func (c *issued) get(kind, name, path string) string {
	return c.kubectl("get", kind, name, "--ignore-not-found", "-o", "jsonpath="+path)
}

// renew does what `cmctl renew` does.
func (c *issued) renew(certificate string) {
	c.Helper()
	c.kubectl("patch", "certificate", certificate, "--subresource=status", "--type=merge", "-p",
		`{"status":{"conditions":[{"type":"Issuing","status":"True","reason":"ManuallyTriggered","message":"renew it","lastTransitionTime":"`+time.Now().UTC().Format(time.RFC3339)+`"}]}}`)
}

// servesAnother waits until both replicas serve the same certificate, other than this one.
func (c *issued) servesAnother(before *x509.Certificate) *x509.Certificate {
	c.Helper()
	var first *x509.Certificate
	await(c.T, "both replicas to serve a new certificate", func() error {
		first = served(c.T, c.Installation)
		if first.Equal(before) || !first.Equal(served(c.T, c.second)) {
			return errors.New("one of them does not")
		}
		return nil
	})
	return first
}

// wrongIssuer checks that a certificate is kept if it cannot be renewed, and the error of a replica without one.
func (c *issued) wrongIssuer(args []string) {
	before := served(c.T, c.Installation)
	c.kubectl("patch", "certificate", "mooring-webhook-cert", "--type=merge", "-p", `{"spec":{"issuerRef":{"kind":"Issuer","name":"nobody"}}}`)
	await(c.T, "cert-manager to try", func() error {
		if requests := c.kubectl("get", "certificaterequests", "-o", "jsonpath={.items[*].status.conditions[*].message}"); !strings.Contains(requests, `"nobody" not found`) {
			return fmt.Errorf("it says %q", requests)
		}
		return nil
	})
	if !served(c.T, c.Installation).Equal(before) {
		c.Error("the old certificate is not kept")
	}
	if _, err := harness.Get(c.Context(), c.Health+"/readyz"); err != nil {
		c.Errorf("a replica with a valid certificate is not ready: %v", err)
	}

	c.kubectl("delete", "secret", "mooring-webhook-cert")
	_, err := c.Replica(c.Context(), append(args, "--cert-timeout=3s")...)
	const reason = `Secret "mooring-webhook-cert" not found; Issuer mooring-system/nobody does not exist. Fix: create it, or name another with --cert-issuer`
	for _, want := range []string{"/readyz/certificate: internal server error: no serving certificate: " + reason, "waited 3s: no serving certificate: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			c.Errorf("a replica without a certificate says %v; want %q", err, want)
		}
	}
	if !served(c.T, c.Installation).Equal(before) {
		c.Error("the old certificate is not kept without its Secret")
	}
}

// ensures removes the objects that the chart creates for cert-manager, and checks that serve creates them if allowed.
func (c *issued) ensures() {
	c.stop()
	c.kubectl("delete", "certificates,issuers,certificaterequests,secrets", "--all")
	c.kubectl("create", "role", "certificates", "--verb=get,list,watch,create,patch", "--resource=certificates.cert-manager.io,issuers.cert-manager.io")
	c.kubectl("create", "rolebinding", "certificates", "--role=certificates", "--serviceaccount="+deploy.Namespace+":mooring")
	in, err := c.Replica(c.Context(), "--cert-mode=cert-manager", "--cert-settle=2s")
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = in.Stop() }()
	for _, o := range []string{"issuer/mooring-selfsigned", "certificate/mooring-ca", "issuer/mooring-ca", "certificate/mooring-webhook-cert"} {
		c.kubectl("wait", o, "--for=condition=Ready", "--timeout=30s")
	}
}
