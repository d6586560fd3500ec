// Package certs holds the serving certificate of the webhook: where it comes from, how it is renewed, and whether the API
// server trusts it.
//
// [SelfSigned] is a CA and a leaf of our own, kept in one Secret that all replicas share. [Files] is a directory that
// somebody else keeps, such as a mounted Secret.
//
// # How a self-signed certificate is renewed without a lost request
//
// The leader renews the leaf with the CA that the API server trusts already, so nothing else changes. A new CA comes in
// three steps, each of which leaves the leaf that is being served trusted:
//
//  1. The new CA goes into the Secret, in front of the old one; the leaf stays. The leader writes both into every caBundle.
//  2. When the caBundles have held both for [Options.Settle], the leader issues a leaf from the new CA, and every replica
//     serves it as soon as its watch brings it. A replica that lags behind serves the old leaf, which is still trusted.
//  3. The old CA leaves the bundle when it expires, which no leaf of it outlives.
//
// Each step can be read off the Secret, so a new leader goes on where the last one stopped. Deleting or damaging the Secret
// of a running webhook starts these steps too, from the certificate that the leader still serves.
//
// # Why this is not a library
//
// github.com/open-policy-agent/cert-controller v0.16.0 was the first choice. It replaces the CA in the Secret, and then in
// the caBundle, at once: until each replica's mounted file has caught up, the API server trusts only a CA that nobody
// serves (its issue 13). It serves from the mounted Secret, which must exist before and takes up to a minute to follow; it
// updates every configuration on every event, changed or not; it caches every Secret of the namespace; it issues no IP
// addresses; and it reads the wall clock. What would remain of it are two calls to [x509.CreateCertificate].
// github.com/cert-manager/cert-manager/pkg/server/tls/authority replaces the CA at once too and leaves the caBundle to
// cert-manager's injector. github.com/cert-manager/webhook-cert-lib keeps old CAs, but serves the new leaf before the new
// CA is in the caBundle, and calls itself unfit for production. So the cryptography here is crypto/x509, the encoding is
// client-go's, watching and leader election are controller-runtime's; only the order of the steps is our own.
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

// Source is where the webhook server gets its certificate from.
type Source interface {
	// GetCertificate returns the certificate to serve now, or an error while there is none. It is meant for
	// [tls.Config.GetCertificate] and cheap enough to be called for every handshake.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Ready returns nil if a request of the API server would be answered with a certificate that it accepts, else an error
	// that says what is missing. It is a sigs.k8s.io/controller-runtime/pkg/healthz.Checker.
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

// Files serves dir/tls.crt with the key dir/tls.key and follows changes of both for as long as mgr runs. Its Ready says
// nothing about caBundles: whoever keeps the files keeps those. It returns an error if the files cannot be loaded now.
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
