package webhooks

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Callers restricts who can call the webhooks: clients with a certificate from an authority in CAFile and one of the Names. The API
// server presents one if its AdmissionConfiguration has a kubeconfig for webhooks.
type Callers struct {
	// CAFile has PEM certificates. It is read for every connection, so it can be replaced at any time.
	CAFile string
	// Names are the allowed common names; empty allows all. They are necessary if the authority also signs other certificates, as a
	// cluster's client CA does.
	Names []string
}

// Require configures a server to reject everyone else. It returns an error if CAFile cannot be used now.
func (c Callers) Require(config *tls.Config) error {
	if _, err := c.authorities(); err != nil {
		return err
	}
	base := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		authorities, err := c.authorities()
		if err != nil {
			return nil, err
		}
		// Without session tickets, every connection is verified against the current authorities.
		strict := base.Clone()
		strict.ClientAuth, strict.ClientCAs, strict.SessionTicketsDisabled = tls.RequireAndVerifyClientCert, authorities, true
		strict.VerifyConnection = c.named
		return strict, nil
	}
	return nil
}

func (c Callers) authorities() (*x509.CertPool, error) {
	data, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("client CAs: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("client CAs: %s has no PEM certificate", c.CAFile)
	}
	return pool, nil
}

func (c Callers) named(state tls.ConnectionState) error {
	if len(c.Names) == 0 {
		return nil
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("no client certificate")
	}
	if name := state.PeerCertificates[0].Subject.CommonName; !slices.Contains(c.Names, name) {
		return fmt.Errorf("%q is not one of the allowed callers %q", name, c.Names)
	}
	return nil
}
