// Package certs manages the serving certificate of the webhook: its source, its renewal, and whether the API server trusts it.
//
// [SelfSigned] is Mooring's own CA and leaf, in a Secret that all replicas share. [Files] is a directory that someone else
// maintains, such as a mounted Secret. [CertManager] asks cert-manager for a certificate.
//
// # How a self-signed certificate is renewed without losing a request
//
// The leader renews the leaf with the CA that the API server already trusts, so nothing else changes. A new CA takes three steps.
// After each, the served leaf is still trusted:
//
//  1. The new CA goes into the Secret, in front of the old one; the leaf stays. The leader writes both into every caBundle.
//  2. When the caBundles have held both for [Options.Settle], the leader issues a leaf from the new CA, and every replica
//     serves it as soon as its watch brings it. A replica that lags behind serves the old leaf, which is still trusted.
//  3. The old CA leaves the bundle when it expires, which no leaf of it outlives.
//
// The Secret shows which step is next, so a new leader continues. Deleting or damaging the Secret of a running webhook also starts
// these steps, from the certificate that the leader still serves.
//
// # Why this is not a library
//
// github.com/open-policy-agent/cert-controller v0.16.0 was the first choice. It replaces the CA in the Secret and then in the
// caBundle at once: until each replica's mounted file is updated, the API server trusts only a CA that no replica serves (its issue
// 13). It serves from a mounted Secret, which must already exist and takes up to a minute to update. It updates every configuration
// on every event, caches every Secret of the namespace, issues no IP addresses, and reads the wall clock. Only two calls to
// [x509.CreateCertificate] would remain of it. github.com/cert-manager/cert-manager/pkg/server/tls/authority also replaces the CA
// at once, and leaves the caBundle to cainjector. github.com/cert-manager/webhook-cert-lib keeps old CAs, but serves the new leaf
// before the caBundle has the new CA, and is not ready for production. So this package uses crypto/x509, client-go's encoding, and
// controller-runtime's watches and leader election. Only the order of the steps is its own.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Source provides the webhook server's certificate.
type Source interface {
	// GetCertificate returns the certificate to serve, or an error if there is none. It is for [tls.Config.GetCertificate], and
	// cheap enough for every handshake.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Ready returns nil if the API server would accept the served certificate, otherwise an error that says what is missing. It is
	// a sigs.k8s.io/controller-runtime/pkg/healthz.Checker.
	Ready(*http.Request) error
}

var expiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "mooring_certificate_expiry_timestamp_seconds",
	Help: "Expiry of the serving certificate (leaf) and of its CA (ca), in seconds since 1970.",
}, []string{"certificate"})

func init() {
	metrics.Registry.MustRegister(expiry)
}

func setExpiry(certificate string, c *x509.Certificate) {
	expiry.WithLabelValues(certificate).Set(float64(c.NotAfter.Unix()))
}

type files struct{ *certwatcher.CertWatcher }

// Files serves dir/tls.crt with the key dir/tls.key, and reloads them when they change, as long as mgr runs. Its Ready does not
// check caBundles, which the owner of the files manages. It returns an error if the files cannot be loaded.
func Files(mgr manager.Manager, dir string) (Source, error) {
	watcher, err := certwatcher.New(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("load the serving certificate: %w", err)
	}
	watcher.RegisterCallback(func(c tls.Certificate) { setExpiry("leaf", c.Leaf) })
	return files{watcher}, mgr.Add(watcher)
}

func (f files) Ready(*http.Request) error {
	c, err := f.GetCertificate(nil)
	if err != nil {
		return err
	}
	if now := time.Now(); now.After(c.Leaf.NotAfter) {
		return fmt.Errorf("the serving certificate expired at %s", c.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}
