// Command record makes changes to a StatefulSet and its Service on a real API server, and writes the AdmissionReviews that it sends
// to webhooks/testdata, for the request tests.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

var set = harness.StatefulSet("default", "replicas: 3")

const (
	service = `
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
`
	claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-db-0, labels: {app: db}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`
	// database is a StatefulSet without findings.
	database = `
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: orders
  labels: {app: orders}
spec:
  serviceName: orders
  replicas: 3
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: orders}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
  template:
    metadata:
      labels: {app: orders}
    spec:
      terminationGracePeriodSeconds: 120
      securityContext: {runAsNonRoot: true, runAsUser: 26, fsGroup: 26}
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: topology.kubernetes.io/zone
        whenUnsatisfiable: DoNotSchedule
        labelSelector: {matchLabels: {app: orders}}
      containers:
      - name: postgresql
        image: registry.example/postgresql:17.4
        ports: [{name: postgresql, containerPort: 5432}]
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: PGDATA, value: /data/pgdata}
        resources: {requests: {cpu: "1", memory: 2Gi}, limits: {memory: 4Gi}}
        readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1]}, periodSeconds: 5}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true}
        volumeMounts: [{name: data, mountPath: /data}, {name: run, mountPath: /run/postgresql}]
      volumes:
      - {name: run, emptyDir: {}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: standard, resources: {requests: {storage: 100Gi}}}
`
)

// scenes are recorded in order: the file's name, and the request that causes the review.
var scenes = []struct {
	name, stdin string
	args        []string
}{
	{"statefulset-apply", set, []string{"apply", "-f", "-"}},
	{"statefulset-apply-unchanged-server-side", set, []string{"apply", "--server-side", "--force-conflicts", "-f", "-"}},
	{"statefulset-dry-run", strings.Replace(set, "name: db,", "name: other,", 1), []string{"apply", "--dry-run=server", "-f", "-"}},
	{"service-apply", service, []string{"apply", "-f", "-"}},
	{"statefulset-scale-up", "", []string{"patch", "statefulset", "db", "-p", `{"spec":{"replicas":5}}`}},
	{"statefulset-scale-down", "", []string{"patch", "statefulset", "db", "-p", `{"spec":{"replicas":3}}`}},
	{"scale-up", "", []string{"scale", "statefulset", "db", "--replicas=5"}},
	{"scale-down", "", []string{"scale", "statefulset", "db", "--replicas=1"}},
	{"scale-to-zero-dry-run", "", []string{"scale", "statefulset", "db", "--replicas=0", "--dry-run=server"}},
	{"statefulset-weaken-retention", "", []string{"patch", "statefulset", "db", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}`}},
	{"statefulset-restart", "", []string{"rollout", "restart", "statefulset", "db"}},
	{"service-new-selector", "", []string{"set", "selector", "service", "db", "app=web"}},
	{"service-delete", "", []string{"delete", "service", "db"}},
	{"statefulset-delete", "", []string{"delete", "statefulset", "--all"}},
	{"claim-create", claim, []string{"create", "-f", "-"}},
	{"claim-delete", "", []string{"delete", "persistentvolumeclaim", "data-db-0", "--wait=false"}},
	{"database-create", database, []string{"apply", "-f", "-"}},
	{"database-update", strings.Replace(database, "postgresql:17.4", "postgresql:17.5", 1), []string{"apply", "-f", "-"}},
	{"database-grow", strings.NewReplacer("postgresql:17.4", "postgresql:17.5", "replicas: 3", "replicas: 5").Replace(database), []string{"apply", "-f", "-"}},
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// Without controllers, only the scenes write.
	cp, err := controlplane.Run(ctx, controlplane.Options{WithoutControllers: true})
	if err != nil {
		return err
	}
	defer cp.Stop()
	var last []byte
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		last = body
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(body, &review); err == nil {
			review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
			review.Request = nil
			_ = json.NewEncoder(w).Encode(review)
		}
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := kubectl(ctx, cp, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: recorder}
webhooks:
- name: recorder.mooring.dev
  clientConfig: {url: %q, caBundle: %s}
  rules:
  - {operations: ["*"], apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, statefulsets/scale]}
  - {operations: ["*"], apiGroups: [""], apiVersions: [v1], resources: [services, persistentvolumeclaims]}
  sideEffects: None
  admissionReviewVersions: [v1]
`, server.URL, base64.StdEncoding.EncodeToString(ca)), "apply", "-f", "-"); err != nil {
		return err
	}
	// A new webhook takes effect slightly later.
	for probe := service; last == nil; {
		if err := kubectl(ctx, cp, strings.Replace(probe, "name: db}", "name: probe}", 1), "create", "--dry-run=server", "-f", "-"); err != nil {
			return err
		}
	}
	for _, s := range scenes {
		last = nil
		if err := kubectl(ctx, cp, s.stdin, s.args...); err != nil {
			return err
		}
		if last == nil {
			return fmt.Errorf("%s brought no review about", s.name)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, last, "", "  "); err != nil {
			return err
		}
		pretty.WriteByte('\n')
		path := filepath.Join("..", "webhooks", "testdata", s.name+".review.json")
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}

func kubectl(ctx context.Context, cp *controlplane.ControlPlane, stdin string, args ...string) error {
	cmd := cp.Kubectl(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
