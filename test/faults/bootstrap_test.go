package faults

import (
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/deploy"
)

const system = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: kube-system}
spec:
  serviceName: store
  replicas: 3
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: store, image: example/store}]
`

// TestBootstrap starts a cluster with registered webhooks and no replica. The cluster's own Pods start and change, Mooring's do
// too, and until then guard refuses everywhere else.
func TestBootstrap(t *testing.T) {
	startShared(t)
	for _, in := range shared.replicas() {
		if err := in.Stop(); err != nil {
			t.Error(err)
		}
	}
	defer restart(t, shared.replicas()...)
	clusterStarts := func(servers ...string) {
		t.Helper()
		for _, server := range servers {
			if err := shared.Component(server).Restart(); err != nil {
				t.Fatal(err)
			}
		}
		apiServerReady(t)
	}
	// The controllers stop without an API server; a kubelet would restart them.
	shared.Component("kube-controller-manager").Kill()
	shared.Component("kube-scheduler").Kill()
	clusterStarts("etcd", "kube-apiserver")
	clusterStarts("kube-controller-manager", "kube-scheduler")
	kubectl := func(stdin string, args ...string) {
		t.Helper()
		if _, err := shared.Run(t.Context(), shared.Kubeconfig, stdin, args...); err != nil {
			t.Error(err)
		}
	}
	kubectl(system, "apply", "-f", "-")
	kubectl("", "-n", "kube-system", "rollout", "status", "statefulset/store", "--timeout=60s")
	kubectl("", "-n", "kube-system", "scale", "statefulset/store", "--replicas=0")
	kubectl("", "-n", "kube-system", "delete", "statefulset/store")

	kubectl(ownDeployment(t), "apply", "-f", "-")
	kubectl("", "-n", deploy.Namespace, "rollout", "status", "deployment/mooring", "--timeout=60s")
	kubectl("", "-n", deploy.Namespace, "delete", "pods", "--all", "--force", "--grace-period=0")
	kubectl("", "-n", deploy.Namespace, "rollout", "status", "deployment/mooring", "--timeout=60s")

	out, err := shared.Run(t.Context(), shared.Kubeconfig, "", "-n", "load", "scale", "statefulset/db", "--replicas=2", "--dry-run=server")
	if err == nil || !strings.Contains(out, "guard.mooring.dev") {
		t.Errorf("guard does not refuse while nobody answers: %v %s", err, out)
	}
}

// ownDeployment returns the chart's Deployment.
func ownDeployment(t *testing.T) string {
	t.Helper()
	all, err := deploy.Render(nil, deploy.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(all), "\n---\n") {
		if strings.Contains(document, "\nkind: Deployment\n") {
			return document
		}
	}
	t.Fatal("the chart makes no Deployment")
	return ""
}
