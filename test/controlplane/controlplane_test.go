package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const database = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: example/db, volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

// TestStatefulSetLives checks everything that a StatefulSet needs: Pods become ready, claims bound, the retention policy deletes,
// and a namespace is removed.
func TestStatefulSetLives(t *testing.T) {
	cp := Start(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	kubectl := func(args ...string) string {
		t.Helper()
		out, err := cp.Kubectl(ctx, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if err := cp.apply(ctx, database); err != nil {
		t.Fatal(err)
	}
	kubectl("-n", "shop", "rollout", "status", "statefulset", "db", "--timeout=30s")
	kubectl("-n", "shop", "wait", "--for=jsonpath={.status.phase}=Bound", "pvc", "--all", "--timeout=30s")

	kubectl("-n", "shop", "scale", "statefulset", "db", "--replicas=1")
	for _, n := range []int{1, 2} {
		kubectl("-n", "shop", "wait", "--for=delete", fmt.Sprintf("pvc/data-db-%d", n), "--timeout=30s")
	}
	if claims := kubectl("-n", "shop", "get", "pvc", "-o", "name"); claims != "persistentvolumeclaim/data-db-0\n" {
		t.Errorf("claims after the scale-down: %q", claims)
	}

	// kwok makes Pods ready once, when they have no address yet, so a status that a test writes stays.
	kubectl("-n", "shop", "patch", "pod", "db-0", "--subresource=status", "--type=strategic",
		"-p", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
	kubectl("-n", "shop", "wait", "--for=jsonpath={.status.availableReplicas}=0", "statefulset/db", "--timeout=30s")

	kubectl("delete", "namespace", "shop", "--timeout=30s")

	pids := map[string]int{}
	for _, c := range cp.components {
		pids[c.Name] = c.PID()
	}
	cp.Stop()
	for name, pid := range pids {
		if isOurs(pid, cp.Dir) {
			t.Errorf("%s still runs after Stop", name)
		}
	}
}

func TestLocate(t *testing.T) {
	built, assets, bin := t.TempDir(), t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{
		filepath.Join(assets, "etcd"): 0o755, filepath.Join(assets, "kubectl"): 0o644, filepath.Join(bin, "etcd"): 0o755, filepath.Join(bin, "kube-apiserver"): 0o755,
		filepath.Join(bin, "kubectl"): 0o755,
	} {
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho Kubernetes v1.37.9\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ assets, path, program, want string }{
		"nothing is installed":           {"", "", "etcd", filepath.Join(built, "etcd")},
		"in KUBEBUILDER_ASSETS":          {assets, bin, "etcd", filepath.Join(assets, "etcd")},
		"there and not executable":       {assets, "", "kubectl", filepath.Join(built, "kubectl")},
		"not in KUBEBUILDER_ASSETS":      {assets, "", "kwok", filepath.Join(built, "kwok")},
		"in PATH":                        {"", bin, "etcd", filepath.Join(bin, "etcd")},
		"in PATH, of that version":       {"", bin, "kube-apiserver", filepath.Join(bin, "kube-apiserver")},
		"in PATH, of any version at all": {"", bin, "kubectl", filepath.Join(built, "kubectl")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBEBUILDER_ASSETS", c.assets)
			t.Setenv("PATH", c.path)
			if got := locate(c.program, built, "v1.37"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestLocateOfAnotherVersion(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "kube-apiserver"), []byte("#!/bin/sh\necho Kubernetes v1.3.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	if got := locate("kube-apiserver", "built", "v1.37"); got != filepath.Join("built", "kube-apiserver") {
		t.Errorf("got %s", got)
	}
}

func TestRecipeKey(t *testing.T) {
	key, err := recipeKey(DefaultVersion)
	if err != nil || !strings.HasPrefix(key, DefaultVersion+"-") {
		t.Errorf("key %q, error %v", key, err)
	}
	if _, err := recipeKey("v0.1"); err == nil || !strings.Contains(err.Error(), DefaultVersion) {
		t.Errorf("the error of an unknown version does not list the versions there are: %v", err)
	}
}
