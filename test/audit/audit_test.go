package audit

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// neglected is a namespace with something for every rule that only a live cluster shows.
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

var pages = flag.String("pages", "", "write the pages of the audits to this folder, to be looked at")

// TestAudit runs mooring audit as a user with only the chart's audit role.
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
		for _, want := range []string{"orphaned-claim/unused", "Claim data-old-0 of 5Gi", "claim-at-risk/reclaim", "disruption-budget/stuck", "protect-label/value"} {
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
	t.Run("a candidate policy that is not installed", func(t *testing.T) {
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
		if code != 2 || !strings.Contains(out, "protect-label/value") {
			t.Errorf("exit code %d: %s%s", code, out, errs)
		}
		// The command in the error must grant what is missing.
		said := regexp.MustCompile(`(?m)^error .*: half may not list (.*)\. What .* Fix: kubectl (.*)$`).FindAllStringSubmatch(out, -1)
		var missing []string
		for _, one := range said {
			missing = append(missing, one[1])
			kubectl(t, "", strings.Fields(one[2])...)
		}
		want := []string{
			"storageclasses.storage.k8s.io in this cluster",
			"deployments.apps, horizontalpodautoscalers.autoscaling, persistentvolumeclaims, poddisruptionbudgets.policy, pods in namespace neglected",
		}
		if diff := cmp.Diff(want, missing, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("missing (-want +got):\n%s\n%s", diff, out)
		}
		await(t, "the rights to hold", func() error {
			if out, errs, code := mooring(t, half, "audit", "-n", "neglected"); code == 2 {
				return fmt.Errorf("exit code %d: %s%s", code, out, errs)
			}
			return nil
		})
	})
	t.Run("no right at all", func(t *testing.T) {
		out, _, code := mooring(t, cluster.Kubeconfig, "audit", "--as=nobody@example.com")
		if n := strings.Count(out, "may not list"); code != 2 || n != 1 {
			t.Errorf("exit code %d, %d times:\n%s", code, n, out)
		}
		if want := "Fix: kubectl create clusterrolebinding mooring-audit-nobody@example.com --clusterrole=mooring-audit --user=nobody@example.com"; !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	})
	t.Run("as a user with the rights", func(t *testing.T) {
		if out, errs, code := mooring(t, cluster.Kubeconfig, "audit", "-A", "--as=auditor", "--fail-on=never"); code != 0 {
			t.Errorf("exit code %d: %s%s", code, out, errs)
		}
	})
	t.Run("forty clusters, of which one does not answer", func(t *testing.T) {
		config, err := clientcmd.LoadFromFile(auditor)
		if err != nil {
			t.Fatal(err)
		}
		now := config.Contexts[config.CurrentContext]
		for i := range 39 {
			config.Contexts[fmt.Sprintf("cluster-%02d", i)] = now
		}
		delete(config.Contexts, config.CurrentContext)
		config.Clusters["away"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:9"}
		config.Contexts["away"] = &clientcmdapi.Context{Cluster: "away", AuthInfo: now.AuthInfo}
		fleet := filepath.Join(t.TempDir(), "fleet")
		if err := clientcmd.WriteToFile(*config, fleet); err != nil {
			t.Fatal(err)
		}
		page := filepath.Join(t.TempDir(), "fleet.html")
		out, errs, code := mooring(t, fleet, "audit", "--all-contexts", "--limit=5", "-o", "text", "-o", "html="+page)
		if code != 2 {
			t.Errorf("exit code %d: %s", code, errs)
		}
		for _, want := range []string{"\ncluster-00 ", "\ncluster-38 ", "\naway ", " findings more. --limit=0 lists all", "kubectl --context=cluster-00 -n neglected", "in 40 clusters; 1 input could not be judged"} {
			if !strings.Contains(out, want) {
				t.Errorf("the report does not say %q:\n%s", want, out)
			}
		}
		if first := "Audit of away, cluster-00, cluster-01 and 37 more, "; !strings.HasPrefix(out, first) {
			t.Errorf("the report does not begin with %q:\n%s", first, out)
		}
		if _, err := os.Stat(page); err != nil {
			t.Error(err)
		}
		if *pages != "" {
			text, err := os.ReadFile(page)
			if err == nil {
				err = os.WriteFile(filepath.Join(*pages, "fleet.html"), text, 0o644)
			}
			if err != nil {
				t.Error(err)
			}
			_, _, _ = mooring(t, auditor, "audit", "--compare=restricted", "-o", "html="+filepath.Join(*pages, "one.html"))
		}
	})
	t.Run("no API server answers", func(t *testing.T) {
		out, _, code := mooring(t, auditor, "audit", "--context=nowhere")
		if code != 2 || out != "" {
			t.Errorf("exit code %d: %s", code, out)
		}
	})
}
