package e2e

import (
	"strings"
	"testing"
)

// TestRestrictedSaysWhatIsMissing meets the rules that nothing is lost by at once: they ask for what a database of several
// members wants around it, and let it run when it has that.
func TestRestrictedSaysWhatIsMissing(t *testing.T) {
	s := newShell(t, "mooring.dev/profile=restricted")
	s.mustWith(`
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: growing}
provisioner: kwok.x-k8s.io/fake
allowVolumeExpansion: true
`, "apply", "-f", "-")
	bare := strings.Replace(statefulSet("replicas: 2"), "accessModes", "storageClassName: growing, accessModes", 1)
	s.mustWith(service, "apply", "-f", "-")
	s.refusedWith(bare, []string{"readiness/"}, "apply", "-f", "-")

	probed := strings.Replace(bare, "image: example/db,", "image: example/db, readinessProbe: {tcpSocket: {port: 5432}},", 1)
	out := s.mustWith(probed, "apply", "-f", "-")
	for _, rule := range []string{"not-ready-addresses/", "spread/", "disruption-budget/"} {
		if !strings.Contains(out, "Warning: "+rule) {
			t.Errorf("nothing is said of %s\n%s", rule, out)
		}
	}
	if strings.Contains(out, "readiness/") {
		t.Errorf("the probe is not seen:\n%s", out)
	}
}
