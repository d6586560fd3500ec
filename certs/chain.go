package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// The keys of the Secret, besides tls.crt and tls.key.
const (
	caCertKey = "ca.crt"
	caKeyKey  = "ca.key"
)

const (
	// backdate allows for replicas and API servers whose clocks are slow.
	backdate = time.Hour

	// maxCAs limits the bundle if someone deletes the Secret repeatedly.
	maxCAs = 4
)

// chain is the content of the Secret. It is immutable.
type chain struct {
	leaf   tls.Certificate
	cas    []*x509.Certificate // what goes into the caBundle; the newest, which signs, first
	signer crypto.Signer       // the key of cas[0]; those of the older ones are gone
}

// newChain creates a CA and a leaf.
func newChain(o Options, now time.Time) (*chain, error) {
	c, err := (&chain{}).withNewCA(o, now)
	if err != nil {
		return nil, err
	}
	return c.withNewLeaf(o, now)
}

// withNewCA adds a new CA before the unexpired ones, and keeps the leaf.
func (c *chain) withNewCA(o Options, now time.Time) (*chain, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "mooring-webhook-ca"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(o.CAValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	ca, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cas := append([]*x509.Certificate{ca}, c.unexpired(now)...)
	return &chain{leaf: c.leaf, cas: cas[:min(len(cas), maxCAs)], signer: key}, nil
}

// withNewLeaf issues a leaf from the newest CA, and drops expired CAs.
func (c *chain) withNewLeaf(o Options, now time.Time) (*chain, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "mooring-webhook"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(o.LeafValidity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if end := c.cas[0].NotAfter; template.NotAfter.After(end) {
		template.NotAfter = end
	}
	for _, name := range o.names() {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	leaf, err := sign(template, c.cas[0], key.Public(), c.signer)
	if err != nil {
		return nil, err
	}
	return &chain{
		leaf:   tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		cas:    c.unexpired(now),
		signer: c.signer,
	}, nil
}

func sign(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// next returns the chain that follows c with the reason, or c without a reason if it can stay. settled means that every caBundle
// has had the CAs of c for long enough.
func (c *chain) next(o Options, settled bool, now time.Time) (next *chain, reason string, err error) {
	leaf, ca := c.leaf.Leaf, c.cas[0]
	switch {
	case c.pending() && settled:
		reason = "the new CA is in place, issue a leaf from it"
		next, err = c.withNewLeaf(o, now)
	case c.pending():
		next = c
	case due(ca, o.CAValidity, now):
		reason = "the CA expires at " + ca.NotAfter.Format(time.RFC3339) + ", add a new one"
		next, err = c.withNewCA(o, now)
	case due(leaf, o.LeafValidity, now):
		reason = "the leaf expires at " + leaf.NotAfter.Format(time.RFC3339)
		next, err = c.withNewLeaf(o, now)
	case c.missing(o.names()) != "":
		reason = "the leaf is not valid for " + c.missing(o.names())
		next, err = c.withNewLeaf(o, now)
	case len(c.unexpired(now)) < len(c.cas):
		reason = "an old CA has expired, drop it"
		next = &chain{leaf: c.leaf, cas: c.unexpired(now), signer: c.signer}
	default:
		next = c
	}
	return next, reason, err
}

// due reports whether the last third of the validity has begun.
func due(c *x509.Certificate, validity time.Duration, now time.Time) bool {
	return now.After(c.NotAfter.Add(-validity / 3))
}

// pending reports whether the newest CA has not issued the leaf yet.
func (c *chain) pending() bool {
	return c.issuer() != c.cas[0]
}

// issuer returns the CA that signed the leaf, or nil.
func (c *chain) issuer() *x509.Certificate {
	for _, ca := range c.cas {
		if c.leaf.Leaf.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// missing returns the first name that the leaf is not valid for. Extra names are ignored, or an old and a new release would reissue
// it in turn.
func (c *chain) missing(names []string) string {
	for _, name := range names {
		if c.leaf.Leaf.VerifyHostname(name) != nil {
			return name
		}
	}
	return ""
}

func (c *chain) unexpired(now time.Time) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(c.cas), func(ca *x509.Certificate) bool { return now.After(ca.NotAfter) })
}

// expired returns an error if the leaf, or the CA that signs the next one, has expired.
func (c *chain) expired(now time.Time) error {
	for _, cert := range []*x509.Certificate{c.leaf.Leaf, c.cas[0]} {
		if now.After(cert.NotAfter) {
			return fmt.Errorf("%s expired at %s", cert.Subject.CommonName, cert.NotAfter.Format(time.RFC3339))
		}
	}
	return nil
}

// bundle returns the CAs in PEM, for caBundle.
func (c *chain) bundle() ([]byte, error) {
	return cert.EncodeCertificates(c.cas...)
}

// bundleOf returns these CAs in PEM, without duplicates, up to the limit of a bundle.
func bundleOf(cas []*x509.Certificate) ([]byte, error) {
	var once []*x509.Certificate
	for _, ca := range cas {
		if !slices.ContainsFunc(once, ca.Equal) {
			once = append(once, ca)
		}
	}
	return cert.EncodeCertificates(once[:min(len(once), maxCAs)]...)
}

// data returns the Secret's data for the chain.
func (c *chain) data() (map[string][]byte, error) {
	leaf, err := cert.EncodeCertificates(c.leaf.Leaf)
	if err != nil {
		return nil, err
	}
	leafKey, err := keyutil.MarshalPrivateKeyToPEM(c.leaf.PrivateKey)
	if err != nil {
		return nil, err
	}
	cas, err := c.bundle()
	if err != nil {
		return nil, err
	}
	caKey, err := keyutil.MarshalPrivateKeyToPEM(c.signer)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		corev1.TLSCertKey: leaf, corev1.TLSPrivateKeyKey: leafKey, caCertKey: cas, caKeyKey: caKey,
	}, nil
}

// parse is the inverse of data. It returns an error if something is missing or does not match, and never quotes the data. It does
// not check expiry.
func parse(data map[string][]byte) (*chain, error) {
	var c chain
	var err error
	if c.leaf, err = tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey]); err != nil {
		return nil, fmt.Errorf("tls.crt and tls.key: %w", err)
	}
	if c.cas, err = cert.ParseCertsPEM(data[caCertKey]); err != nil {
		return nil, fmt.Errorf("ca.crt: %w", err)
	}
	key, err := keyutil.ParsePrivateKeyPEM(data[caKeyKey])
	if err != nil {
		return nil, fmt.Errorf("ca.key: %w", err)
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(c.cas[0].PublicKey) {
		return nil, errors.New("ca.key is not the key of the first certificate in ca.crt")
	}
	c.signer = signer
	if c.issuer() == nil {
		return nil, errors.New("tls.crt is not signed by any certificate in ca.crt")
	}
	return &c, nil
}
