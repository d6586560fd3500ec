package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificates of a control plane, in dir.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mooring-test-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, key: key}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, a.write("ca", der, key)
}

// issue writes name.crt and name.key for a user with groups, who can also be a server at the addresses.
func (a *authority) issue(name, user string, groups, addresses []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: user, Organization: groups},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: a.cert.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, address := range addresses {
		if ip := net.ParseIP(address); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, address)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	return a.write(name, der, key)
}

func (a *authority) write(name string, der []byte, key crypto.Signer) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(a.path(name+".crt"), cert, 0o600); err != nil {
		return err
	}
	return os.WriteFile(a.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
}

func (a *authority) path(file string) string { return filepath.Join(a.dir, file) }

// kubeconfig writes name.kubeconfig with these lines as its user's credentials.
func (a *authority) kubeconfig(name, server string, user map[string]string) (string, error) {
	ca, err := os.ReadFile(a.path("ca.crt"))
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: mooring
  cluster: {server: %q, certificate-authority-data: %s}
contexts:
- name: mooring
  context: {cluster: mooring, user: %s}
current-context: mooring
users:
- name: %[3]s
  user:
`, server, base64.StdEncoding.EncodeToString(ca), name)
	for k, v := range user {
		text += fmt.Sprintf("    %s: %s\n", k, v)
	}
	path := a.path(name + ".kubeconfig")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// clientKubeconfig issues a certificate for the user and writes a kubeconfig with it.
func (a *authority) clientKubeconfig(name, server, user string, groups []string) (string, error) {
	if err := a.issue(name, user, groups, nil); err != nil {
		return "", err
	}
	lines := map[string]string{}
	for field, file := range map[string]string{"client-certificate-data": name + ".crt", "client-key-data": name + ".key"} {
		data, err := os.ReadFile(a.path(file))
		if err != nil {
			return "", err
		}
		lines[field] = base64.StdEncoding.EncodeToString(data)
	}
	return a.kubeconfig(name, server, lines)
}
