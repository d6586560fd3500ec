package security

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/deploy"
	"github.com/mooring-dev/mooring/test/controlplane"
)

var insecure = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}

// TestPodsAreRestricted installs install.yaml, in whose namespace the API server enforces the restricted Pod Security Standard: the
// Deployment's Pods start, and a Pod that asks for more is refused.
func TestPodsAreRestricted(t *testing.T) {
	cp := controlplane.Start(t, controlplane.Options{})
	manifest, err := deploy.InstallYAML()
	if err != nil {
		t.Fatal(err)
	}
	kubectl := func(stdin string, args ...string) (string, error) {
		cmd := cp.Kubectl(t.Context(), args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := kubectl(string(manifest), "apply", "-f", "-")
	if err != nil || strings.Contains(out, "would violate PodSecurity") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := kubectl("", "-n", deploy.Namespace, "wait", "deployment/mooring", "--for=condition=Available", "--timeout=60s"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = kubectl("", "-n", deploy.Namespace, "run", "intruder", "--image=example/intruder", "--privileged")
	if err == nil || !strings.Contains(out, "violates PodSecurity") {
		t.Errorf("a privileged Pod was not refused: %v\n%s", err, out)
	}
}
