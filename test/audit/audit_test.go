package audit

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
)

// neglected is a namespace in which there is something of everything that only a live cluster knows.
const neglected = `
apiVersion: v1
kind: Service
metadata: {name: db, namespace: neglected}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 1}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: neglected, labels: {mooring.dev/protect: "yes"}}
spec:
  replicas: 1
  serviceName: db
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: example/db, readinessProbe: {tcpSocket: {port: 1}}, volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-old-0, namespace: neglected}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 5Gi}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db, namespace: neglected}
spec: {minAvailable: 1, selector: {matchLabels: {app: db}}}
`

// TestAudit runs mooring audit as somebody who may do nothing but what the chart's role for it allows.
func TestAudit(t *testing.T) {
	namespace(t, "neglected")
	kubectl(t, "", "create", "clusterrolebinding", "auditor", "--clusterrole=mooring-audit", "--user=auditor")
	auditor, err := cluster.KubeconfigFor("auditor")
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, neglected, "apply", "-f", "-")
	kubectl(t, "", "-n", "neglected", "rollout", "status", "statefulset/db", "--timeout=60s")
	kubectl(t, "", "-n", "neglected", "wait", "pvc/data-db-0", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
	await(t, "the budget to know its Pods", func() error {
		out := kubectl(t, "", "-n", "neglected", "get", "pdb", "db", "-o", "jsonpath={.status.expectedPods}")
		if out != "1" {
			return fmt.Errorf("it expects %q", out)
		}
		return nil
	})

	t.Run("what only a live cluster knows", func(t *testing.T) {
		out, errs, code := mooring(t, auditor, "audit", "-n", "neglected", "--fail-on=warn")
		if code != 1 {
			t.Errorf("exit code %d: %s", code, errs)
		}
		for _, want := range []string{"orphaned-claim/unused", "Claim data-old-0 of 5Gi", "claim-at-risk/reclaim", "blocked-drain/budget", "protect-label/value"} {
			if !strings.Contains(out, want) {
				t.Errorf("the report does not say %q", want)
			}
		}
		t.Logf("\n%s%s", out, errs)
	})
	t.Run("a member that is down", func(t *testing.T) {
		kubectl(t, "", "-n", "neglected", "patch", "pod", "db-0", "--subresource=status", "--type=strategic", "-p", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
		await(t, "the audit to say so", func() error {
			out, _, _ := mooring(t, auditor, "audit", "-n", "neglected", "--stuck-after=1s")
			if !strings.Contains(out, "member-down/not-ready") || !strings.Contains(out, "0 of 1 members of StatefulSet db are ready") {
				return fmt.Errorf("the report is\n%s", out)
			}
			return nil
		})
	})
	t.Run("a candidate policy, which nobody installs", func(t *testing.T) {
		out, errs, code := mooring(t, auditor, "audit", "--namespace-selector=kubernetes.io/metadata.name=neglected", "--profile=restricted", "-o", "policyreport")
		if code != 1 {
			t.Errorf("exit code %d: %s", code, errs)
		}
		var r openreports.Report
		if err := yaml.UnmarshalStrict([]byte(strings.TrimPrefix(out, "---\n")), &r); err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if r.Namespace != "neglected" || r.Summary.Fail == 0 || !strings.Contains(out, "retention-policy/required") {
			t.Errorf("the report is\n%s", out)
		}
	})
	t.Run("a right is missing", func(t *testing.T) {
		kubectl(t, "", "create", "clusterrole", "half", "--verb=get,list", "--resource=namespaces,statefulsets,services,statefulpolicies.mooring.dev")
		kubectl(t, "", "create", "clusterrolebinding", "half", "--clusterrole=half", "--user=half")
		half, err := cluster.KubeconfigFor("half")
		if err != nil {
			t.Fatal(err)
		}
		out, errs, code := mooring(t, half, "audit", "-n", "neglected")
		for _, want := range []string{
			`cannot list persistentvolumeclaims in namespace neglected`, `{apiGroups: [""], resources: [persistentvolumeclaims], verbs: [list]}`,
			`cannot list poddisruptionbudgets`, "protect-label/value",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("the report does not say %q:\n%s", want, out)
			}
		}
		if code != 2 {
			t.Errorf("exit code %d: %s", code, errs)
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		out, _, code := mooring(t, auditor, "audit", "--context=nowhere")
		if code != 2 || out != "" {
			t.Errorf("exit code %d: %s", code, out)
		}
	})
}
