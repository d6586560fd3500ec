// Package security tests who can reach Mooring, and what Mooring can reach, on a real control plane.
package security

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// admissionConfiguration makes the API server present a certificate to webhooks, as in docs/operating/security.md.
const admissionConfiguration = `
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: MutatingAdmissionWebhook
  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: %[1]s}
- name: ValidatingAdmissionWebhook
  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: %[1]s}
`

const webhooksKubeconfig = `
apiVersion: v1
kind: Config
users:
- name: '*'
  user: {client-certificate: %[1]s/front-proxy.crt, client-key: %[1]s/front-proxy.key}
`

// TestOnlyTheAPIServerMayCall starts Mooring with --client-ca-file. Only the API server is answered, not another certificate of the
// same authority.
func TestOnlyTheAPIServerMayCall(t *testing.T) {
	dir, config := t.TempDir(), t.TempDir()
	kubeconfig, admission := filepath.Join(config, "webhooks.kubeconfig"), filepath.Join(config, "admission.yaml")
	for path, text := range map[string]string{
		kubeconfig: fmt.Sprintf(webhooksKubeconfig, dir), admission: fmt.Sprintf(admissionConfiguration, kubeconfig),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := harness.Install(t, controlplane.Options{
		Dir: dir, WithoutControllers: true,
		APIServerArgs: []string{"--admission-control-config-file=" + admission},
	}, harness.Options{Args: []string{"--client-ca-file=" + filepath.Join(dir, "ca.crt"), "--client-name=front-proxy-client"}})

	out, err := in.Apply(t.Context(), harness.StatefulSet("default", "replicas: 3"))
	if err == nil || !strings.Contains(out, "headless-service/") {
		t.Errorf("the API server's own call was not answered: %v\n%s", err, out)
	}
	for name, c := range map[string]struct {
		certificate string
		answered    bool
	}{
		"nobody":         {"", false},
		"another user":   {"admin", false},
		"the API server": {"front-proxy", true},
	} {
		t.Run(name, func(t *testing.T) {
			status, err := call(in.Webhook+"/validate", dir, c.certificate)
			if answered := err == nil; answered != c.answered {
				t.Errorf("answered %v (status %d, error %v), want %v", answered, status, err, c.answered)
			}
		})
	}
}

// call posts to a webhook with one of the control plane's certificates, and returns the status.
func call(url, dir, certificate string) (int, error) {
	config := &tls.Config{InsecureSkipVerify: true}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certificate+".crt"), filepath.Join(dir, certificate+".key"))
		if err != nil {
			return 0, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
