package helm

import (
	"context"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"

	"github.com/mooring-dev/mooring/deploy"
	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// database is a StatefulSet with three members and their claims.
const database = `
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  podManagementPolicy: Parallel
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: db, image: example/db, readinessProbe: {tcpSocket: {port: 80}}, volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

// cluster is a control plane with Helm.
type cluster struct {
	*testing.T
	*controlplane.ControlPlane
	helm *action.Configuration
}

func start(t *testing.T) *cluster {
	cp := controlplane.Start(t, controlplane.Options{})
	settings := cli.New()
	settings.KubeConfig = cp.Kubeconfig
	settings.SetNamespace(deploy.Namespace)
	config := new(action.Configuration)
	if err := config.Init(settings.RESTClientGetter(), deploy.Namespace, "secret", t.Logf); err != nil {
		t.Fatal(err)
	}
	return &cluster{t, cp, config}
}

// install runs helm install.
func (c *cluster) install(values map[string]any) error {
	chart, err := loader.Load("../../deploy/chart")
	if err != nil {
		return err
	}
	install := action.NewInstall(c.helm)
	install.ReleaseName, install.Namespace, install.CreateNamespace = "mooring", deploy.Namespace, true
	values["namespace"] = map[string]any{"create": false}
	_, err = install.RunWithContext(c.Context(), chart, values)
	return err
}

// try runs kubectl.
func (c *cluster) try(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.Context(), 90*time.Second)
	defer cancel()
	cmd := c.Kubectl(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs kubectl, which must succeed.
func (c *cluster) must(stdin string, args ...string) string {
	c.Helper()
	out, err := c.try(stdin, args...)
	if err != nil {
		c.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// data creates a namespace with a database.
func (c *cluster) data(namespace string) {
	c.Helper()
	c.must("", "create", "namespace", namespace)
	c.must(database, "-n", namespace, "apply", "-f", "-")
	c.must("", "-n", namespace, "rollout", "status", "statefulset/db", "--timeout=60s")
}

// isUnguarded fails the test unless a database can be scaled down and deleted, and its namespace too.
func (c *cluster) isUnguarded(namespace string) {
	c.Helper()
	c.must("", "-n", namespace, "scale", "statefulset/db", "--replicas=1")
	c.must("", "-n", namespace, "delete", "pvc", "data-db-0", "--wait=false")
	c.must("", "-n", namespace, "delete", "statefulset", "db")
	c.must("", "delete", "namespace", namespace, "--timeout=60s")
}

// isGuarded fails the test unless guard refuses the delete of a database with this reason.
func (c *cluster) isGuarded(namespace, why string) {
	c.Helper()
	out, err := c.try("", "-n", namespace, "delete", "statefulset", "db")
	if err == nil || !strings.Contains(out, "guard.mooring.dev") || !strings.Contains(out, why) {
		c.Errorf("the delete of a database is not refused with %q: %v %s", why, err, out)
	}
}

const configurations = "validatingwebhookconfigurations,mutatingwebhookconfigurations"

// TestInstallAndRemove covers the life of an installation. Until a replica answers, guard refuses nothing; then it does, even while
// no replica answers. The webhook configurations are deleted with Mooring's namespace, and by helm uninstall.
func TestInstallAndRemove(t *testing.T) {
	c := start(t)
	for _, namespace := range []string{"before", "kept"} {
		c.data(namespace)
	}
	var values map[string]any
	in, err := harness.On(t.Context(), c.ControlPlane, harness.Options{Chart: func(v map[string]any) error {
		values = v
		if err := c.install(v); err != nil {
			return err
		}
		c.must("", "wait", "--for=condition=Established", "crd/statefulpolicies.mooring.dev", "--timeout=30s")
		c.isUnguarded("before")
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Stop() })
	c.isGuarded("kept", "delete-protection")

	if err := in.Stop(); err != nil {
		t.Error(err)
	}
	c.isGuarded("kept", "failed calling webhook")
	c.must("", "delete", "namespace", deploy.Namespace, "--timeout=60s")
	c.isUnguarded("kept")
	c.must("", "wait", "--for=delete", configurations, "-l", "app.kubernetes.io/name=mooring", "--timeout=60s")

	// The rest of the first release, ClusterRoles and the CRD, is taken over.
	if err := c.install(values); err != nil {
		t.Fatal(err)
	}
	if _, err := action.NewUninstall(c.helm).Run("mooring"); err != nil {
		t.Fatal(err)
	}
	left := c.must("", "get", configurations+",clusterroles,clusterrolebindings,validatingadmissionpolicies", "-l", "app.kubernetes.io/name=mooring", "-o", "name")
	left += c.must("", "-n", deploy.Namespace, "get", "all,secrets,configmaps,serviceaccounts,roles,rolebindings,leases", "-l", "app.kubernetes.io/name=mooring", "-o", "name")
	if left != "" {
		t.Errorf("helm uninstall leaves\n%s", left)
	}
	if left = c.must("", "get", "crd", "-o", "name"); !strings.Contains(left, "statefulpolicies.mooring.dev") {
		t.Errorf("helm uninstall takes the policies along: there is only %s", left)
	}
}

// TestUninstallWhileItRuns checks that helm uninstall removes guard, and leaves only what Mooring created in its namespace.
func TestUninstallWhileItRuns(t *testing.T) {
	c := start(t)
	in, err := harness.On(t.Context(), c.ControlPlane, harness.Options{Chart: c.install})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Stop() })
	c.data("shop")
	c.isGuarded("shop", "delete-protection")
	if _, err := action.NewUninstall(c.helm).Run("mooring"); err != nil {
		t.Fatal(err)
	}
	c.isUnguarded("shop")
	if left, want := strings.Fields(c.must("", "-n", deploy.Namespace, "get", "secrets,leases", "-o", "name")), []string{
		"secret/mooring-webhook-cert", "lease.coordination.k8s.io/mooring-leader",
	}; strings.Join(left, " ") != strings.Join(want, " ") {
		t.Errorf("in Mooring's namespace there is %q, want %q", left, want)
	}
}
