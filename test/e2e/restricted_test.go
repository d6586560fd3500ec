package e2e

import (
	"strings"
	"testing"
)

// TestRestrictedSaysWhatIsMissing covers rules whose violation loses nothing at once: they ask for what a database should have, and
// allow it when it does.
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

// TestStorageClassMadeAgain: a class cannot be changed, so it is deleted and made again. Its volumes keep their reclaim policy, and new
// ones get the new one.
func TestStorageClassMadeAgain(t *testing.T) {
	s := newShell(t)
	const class = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: kept}, provisioner: kwok.x-k8s.io/volume, reclaimPolicy: Retain}"
	s.mustWith(class+"\n---\n{apiVersion: v1, kind: PersistentVolume, metadata: {name: kept}, spec: {storageClassName: kept, persistentVolumeReclaimPolicy: Retain, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /disks/1}}}", "create", "-f", "-")
	s.mustWith(service+"---"+strings.Replace(statefulSet("replicas: 1"), "accessModes", "storageClassName: kept, accessModes", 1), "apply", "-f", "-")
	s.settled(1)
	s.bound()
	again := func(manifest string) string {
		s.must("delete", "storageclass", "kept")
		return s.mustWith(manifest, "create", "-f", "-")
	}
	if out := again(class); strings.Contains(out, "volume-retain") {
		t.Errorf("a class that keeps volumes draws:\n%s", out)
	}
	if out := again(strings.Replace(class, "Retain", "Delete", 1)); !strings.Contains(out, "Warning: volume-retain/class: New volumes of StorageClass kept are deleted with their claims.") {
		t.Errorf("a class that does not keep volumes any more draws:\n%s", out)
	}
}
