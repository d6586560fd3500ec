package security

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/mooring-dev/mooring/deploy"
	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:mooring-system:mooring"]
- level: None
`

// autoscaled is what the profile restricted allows.
const autoscaled = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: shop}
spec:
  serviceName: web
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: example/web, readinessProbe: {tcpSocket: {port: 80}}}]
`

// floorless is what that profile refuses.
const floorless = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {minReplicas: 1, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: web}}
`

// nameless is a StatefulSet without its Service, where that only draws a warning.
const nameless = `
apiVersion: v1
kind: Namespace
metadata: {name: legacy, labels: {mooring.dev/mode: warn}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: legacy}
spec:
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: example/web}]
`

// databases are custom resources that own StatefulSets and that Mooring can read.
const databases = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.db.example.com}
spec:
  group: db.example.com
  scope: Namespaced
  names: {kind: Database, plural: databases, singular: database}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: databases, labels: {mooring.dev/aggregate-to-owners: "true"}}
rules: [{apiGroups: [db.example.com], resources: [databases], verbs: [get]}]
`

// right is a verb on a resource.
type right struct{ group, resource, verb string }

// reading are the verbs that read objects.
var reading = []string{"get", "list", "watch"}

func (r right) String() string { return fmt.Sprintf("%s %s.%s", r.verb, r.resource, r.group) }

// TestRights runs Mooring with the chart's service account and reads the API server's audit log: nothing that it did was forbidden,
// and it used every right of its roles.
func TestRights(t *testing.T) {
	plane, log := audited(t)
	in := harness.Install(t, plane, harness.Options{Args: []string{"--metrics-secure=true", "--scan-interval=1s"}})
	live(t, in)
	allUsed(t, log, grants(t, nil))
}

// TestRightsWithCertManager does the same for the rights of --cert-mode=cert-manager, with cert-manager running.
func TestRightsWithCertManager(t *testing.T) {
	plane, log := audited(t)
	plane.WithoutControllers = true
	cp := controlplane.Start(t, plane)
	stop, err := harness.CertManager(t.Context(), cp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	values := map[string]any{"certs": map[string]any{"mode": "cert-manager", "extraNames": []any{"127.0.0.1"}}}
	args := []string{"--cert-mode=cert-manager", "--cert-issuer=Issuer/mooring-ca", "--cert-settle=1s", "--scan=false"}
	in, err := harness.On(t.Context(), cp, harness.Options{Values: values, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Stop() })
	run := func(args ...string) {
		t.Helper()
		if _, err := in.Run(t.Context(), in.Kubeconfig, "", append([]string{"-n", deploy.Namespace}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	// Removed CAs are restored.
	run("patch", "secret", "mooring-webhook-cert-ca", "--type=merge", "-p", `{"data":null}`)
	run("wait", "secret/mooring-webhook-cert-ca", `--for=jsonpath={.data.ca\.crt}`, "--timeout=30s")
	if err := in.Stop(); err != nil {
		t.Fatal(err)
	}
	// A replica without a certificate looks for the reason.
	for _, kind := range []string{"Issuer", "ClusterIssuer"} {
		run("patch", "certificate", "mooring-webhook-cert", "--type=merge", "-p", `{"spec":{"issuerRef":{"kind":"`+kind+`","name":"nobody"}}}`)
		run("delete", "secret", "mooring-webhook-cert", "--ignore-not-found")
		args := []string{"--cert-mode=cert-manager", "--cert-issuer=" + kind + "/nobody", "--cert-settle=1s", "--cert-timeout=2s", "--scan=false"}
		if _, err := in.Replica(t.Context(), args...); err == nil || !strings.Contains(err.Error(), "nobody does not exist") {
			t.Errorf("a replica without a certificate says %v", err)
		}
	}
	without := grants(t, nil)
	allUsed(t, log, slices.DeleteFunc(grants(t, values), func(r right) bool { return slices.Contains(without, r) }))
}

// audited returns the options of a control plane that logs Mooring's requests, and the log's path.
func audited(t *testing.T) (o controlplane.Options, log string) {
	t.Helper()
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	log = filepath.Join(dir, "audit.log")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	o.APIServerArgs = []string{"--audit-policy-file=" + policy, "--audit-log-path=" + log, "--audit-log-mode=blocking"}
	return o, log
}

// allUsed fails the test if Mooring did something forbidden, or did not use a granted right.
func allUsed(t *testing.T, log string, granted []right) {
	t.Helper()
	// Some rights, such as those for the counts of Events, are used later.
	var unused []right
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		used := done(t, log)
		unused = slices.DeleteFunc(slices.Clone(granted), func(r right) bool {
			// The verbs that read a kind count as one right.
			return used[r] || slices.Contains(reading, r.verb) && slices.ContainsFunc(reading, func(verb string) bool {
				return used[right{r.group, r.resource, verb}]
			})
		})
		if len(unused) == 0 || time.Now().After(end) {
			break
		}
	}
	for _, r := range unused {
		t.Errorf("the chart grants %s, which nobody needs", r)
	}
	t.Logf("%d rights, all but %d used", len(granted), len(unused))
}

// live makes Mooring do everything that it can do.
func live(t *testing.T, in *harness.Installation) {
	t.Helper()
	ctx := t.Context()
	run := func(input string, args ...string) string {
		t.Helper()
		out, err := in.Run(ctx, in.Kubeconfig, input, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	refused := func(want string, args ...string) {
		t.Helper()
		out, err := in.Run(ctx, in.Kubeconfig, "", args...)
		if err == nil || !strings.Contains(out, want) {
			t.Fatalf("kubectl %s: want a refusal for %s, got %v\n%s", strings.Join(args, " "), want, err, out)
		}
	}
	run("{apiVersion: mooring.dev/v1alpha1, kind: StatefulPolicy, metadata: {name: spread}, spec: {rules: {spread: {action: Audit}}}}", "apply", "-f", "-")
	run("", "wait", "statefulpolicy/spread", "--for=condition=Ready", "--timeout=60s")
	run("", "create", "namespace", "shop")
	run("", "label", "namespace", "shop", "mooring.dev/profile=restricted")
	// Repeat the refusal, so that its Event is counted.
	for range 3 {
		if out, err := in.Apply(ctx, harness.StatefulSet("shop", "replicas: 3")); err == nil || !strings.Contains(out, "headless-service/") {
			t.Fatalf("a StatefulSet without its Service was not refused: %v\n%s", err, out)
		}
	}
	// For the refusal of an autoscaler, the StatefulSet is read live.
	run(autoscaled, "apply", "-f", "-")
	if out, err := in.Run(ctx, in.Kubeconfig, floorless, "-n", "shop", "create", "-f", "-"); err == nil || !strings.Contains(out, "autoscaler-floor/") {
		t.Fatalf("an autoscaler without a floor was not refused: %v\n%s", err, out)
	}
	run("", "label", "namespace", "shop", "mooring.dev/profile=baseline", "--overwrite")
	run(`
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
`+harness.StatefulSet("shop", "replicas: 3"), "apply", "-f", "-")
	run("", "-n", "shop", "rollout", "status", "statefulset", "db", "--timeout=60s")
	refused("scale-down/to-zero", "-n", "shop", "scale", "statefulset", "db", "--replicas=0")
	refused("delete-protection/in-use", "-n", "shop", "delete", "persistentvolumeclaim", "data-db-0")
	// The existence of an owner is checked.
	for apiVersion, kind := range map[string]string{"v1": "ConfigMap", "apps/v1": "Deployment", "batch/v1": "Job"} {
		refused("lost-owner/missing", "-n", "shop", "patch", "persistentvolumeclaim", "data-db-0", "--type=merge", "-p",
			fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":%q,"kind":%q,"name":"gone","uid":"gone"}]}}`, apiVersion, kind))
	}
	// A custom resource's definition shows whether it has a scale subresource.
	run(databases+"---"+harness.AdvancedStatefulSets, "apply", "-f", "-")
	run("", "wait", "crd/databases.db.example.com", "crd/statefulsets.apps.kruise.io", "--for=condition=Established", "--timeout=30s")
	run("", "wait", "clusterrole/mooring-owners", "--for=jsonpath={.rules[0].resources[0]}=databases", "--timeout=30s")
	run("{apiVersion: db.example.com/v1, kind: Database, metadata: {name: db, namespace: shop}}", "create", "-f", "-")
	uid := strings.TrimSpace(run("", "-n", "shop", "get", "database", "db", "-o", "jsonpath={.metadata.uid}"))
	run("", "-n", "shop", "patch", "statefulset", "db", "--type=merge", "-p",
		fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"db.example.com/v1","kind":"Database","name":"db","uid":%q}]}}`, uid))
	run("", "wait", "validatingwebhookconfiguration/mooring-owners", "--for=jsonpath={.webhooks[1].name}=advanced.mooring.dev", "--timeout=30s")
	// The Advanced StatefulSet of a Scale is read.
	run(strings.Replace(harness.StatefulSet("shop", "replicas: 3"), "apps/v1", "apps.kruise.io/v1beta1", 1), "create", "-f", "-")
	refused("scale-down/to-zero", "-n", "shop", "scale", "statefulsets.apps.kruise.io", "db", "--replicas=0")
	run("", "-n", "shop", "delete", "pod", "db-2", "--force", "--grace-period=0")
	// An eviction does not have the Pod's owner, so the Pod is read.
	run(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"db-1","namespace":"shop"},"deleteOptions":{"gracePeriodSeconds":0}}`,
		"create", "--raw=/api/v1/namespaces/shop/pods/db-1/eviction", "-f", "-")
	// A bypass checks the user's right.
	run("", "-n", "shop", "annotate", "statefulset", "db", "mooring.dev/bypass=scale-down", "mooring.dev/bypass-reason=test")
	run("", "-n", "shop", "scale", "statefulset", "db", "--replicas=0")
	// An invalid Secret is replaced.
	run("", "-n", deploy.Namespace, "patch", "secret", "mooring-webhook-cert", "--type=merge", "-p", `{"data":{"tls.crt":"anVuaw==","tls.key":"anVuaw=="}}`)
	metricsAreGuarded(t, in)
	reports(t, in)
	// The lease is renewed, and released.
	if err := in.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := in.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// reports makes the scanner write and delete a policy report of each API. It prefers the newer one.
func reports(t *testing.T, in *harness.Installation) {
	t.Helper()
	ctx := t.Context()
	run := func(input string, args ...string) {
		t.Helper()
		if _, err := in.Run(ctx, in.Kubeconfig, input, args...); err != nil {
			t.Fatal(err)
		}
	}
	openReports, workingGroup, err := harness.ReportDefinitions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, api := range []struct{ definition, report string }{{workingGroup, "policyreports.wgpolicyk8s.io/mooring"}, {openReports, "reports.openreports.io/mooring"}} {
		run(api.definition, "create", "-f", "-")
		run(api.definition, "wait", "-f", "-", "--for=condition=Established", "--timeout=30s")
		run(nameless, "apply", "-f", "-")
		run("", "-n", "legacy", "wait", api.report, "--for=create", "--timeout=60s")
		run("", "-n", "legacy", "delete", "statefulset", "web")
		run("", "-n", "legacy", "wait", api.report, "--for=delete", "--timeout=60s")
	}
}

// metricsAreGuarded requests metrics without a user, with an ordinary user, and with one who can read them.
func metricsAreGuarded(t *testing.T, in *harness.Installation) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{"somebody", "reader"} {
		if _, err := in.Run(ctx, in.Kubeconfig, "", "create", "serviceaccount", name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := in.Run(ctx, in.Kubeconfig, "", "create", "clusterrolebinding", "reader", "--clusterrole=mooring-metrics-reader", "--serviceaccount=default:reader"); err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(in.Metrics, "http://", "https://", 1) + "/metrics"
	for name, want := range map[string]int{"": http.StatusUnauthorized, "somebody": http.StatusForbidden, "reader": http.StatusOK} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if name != "" {
			token, err := in.Run(ctx, in.Kubeconfig, "", "create", "token", name)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		}
		response, err := insecure.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != want || (want == http.StatusOK) != strings.Contains(string(body), "mooring_") {
			t.Errorf("metrics for %q: status %d, want %d", name, response.StatusCode, want)
		}
	}
}

// grants returns the rights in the roles of Mooring's service account, as the chart renders them for these values.
func grants(t *testing.T, values map[string]any) []right {
	t.Helper()
	rendered, err := deploy.Render(values, deploy.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	var all []right
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(rendered)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var rules []rbacv1.PolicyRule
		switch o := object.(type) {
		case *rbacv1.ClusterRole:
			if o.Name == "mooring" {
				rules = o.Rules
			}
		case *rbacv1.Role:
			rules = o.Rules
		}
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						all = append(all, right{group, resource, verb})
					}
				}
			}
		}
	}
}

// done reads the requests from the audit log, and fails the test if any was forbidden.
func done(t *testing.T, log string) map[right]bool {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	did := map[right]bool{}
	for line := range bytes.Lines(data) {
		var event struct {
			Verb, RequestURI string
			ObjectRef        *struct{ APIGroup, Resource, Subresource string }
			ResponseStatus   struct{ Code int }
		}
		if json.Unmarshal(line, &event) != nil || event.ObjectRef == nil {
			// This line is incomplete, or its URL is no resource.
			continue
		}
		r := right{event.ObjectRef.APIGroup, event.ObjectRef.Resource, event.Verb}
		if event.ObjectRef.Subresource != "" {
			r.resource += "/" + event.ObjectRef.Subresource
		}
		if event.ResponseStatus.Code == http.StatusForbidden && !t.Failed() {
			t.Errorf("Mooring needs %s, which the chart does not grant: %s", r, event.RequestURI)
		}
		did[r] = true
		probe := r.resource == "statefulpolicies" && event.ResponseStatus.Code == http.StatusConflict
		if r.verb == "patch" && (event.ResponseStatus.Code == http.StatusCreated || probe) {
			// An apply of a new object is also authorized as a create. lint then refuses the probe's.
			did[right{r.group, r.resource, "create"}] = true
		}
	}
	return did
}
