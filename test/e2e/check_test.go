package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checked is the result of mooring check.
type checked struct {
	code int
	// found are the findings, as rule/check action.
	found []string
	// objects counts the judged objects.
	objects          int
	messages, stderr string
}

// check runs mooring check on a manifest, in which NAMESPACE stands for the test's namespace.
func (s shell) check(kubeconfig, manifest string, args ...string) checked {
	s.Helper()
	file := filepath.Join(s.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(manifest, "NAMESPACE", s.namespace)), 0o644); err != nil {
		s.Fatal(err)
	}
	cmd := cluster.Mooring(s.Context(), append([]string{"check", file, "--kubeconfig=" + kubeconfig, "-o", "json"}, args...)...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	c := checked{code: cmd.ProcessState.ExitCode(), stderr: stderr.String()}
	if out.Len() == 0 {
		return c
	}
	var report struct {
		Findings []struct{ Rule, Check, Action, Message string }
		Summary  struct{ Objects int }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		s.Fatalf("%v\n%s", err, &out)
	}
	for _, f := range report.Findings {
		c.found = append(c.found, f.Rule+"/"+f.Check+" "+f.Action)
		c.messages += f.Message + "\n"
	}
	slices.Sort(c.found)
	c.objects = report.Summary.Objects
	return c
}

// TestCheckAsksACluster judges files together with objects that are only in a cluster.
func TestCheckAsksACluster(t *testing.T) {
	probed := strings.Replace(statefulSet("replicas: 1"), "image: example/db,", "image: example/db, readinessProbe: {tcpSocket: {port: 5432}},", 1)
	class := "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: checked}, provisioner: kwok.x-k8s.io/fake, allowVolumeExpansion: true}\n"
	probed = strings.Replace(probed, "accessModes", "storageClassName: checked, accessModes", 1)
	newShell(t).mustWith(class, "apply", "-f", "-")
	notHeadless := strings.Replace(service, "clusterIP: None, ", "", 1)
	bare := strings.Replace(probed, "readinessProbe: {tcpSocket: {port: 5432}}, ", "", 1)

	for _, tc := range []struct {
		name     string
		labels   []string
		there    string
		manifest string
		want     []string
		code     int
	}{
		{name: "its Service is in the cluster", there: service, manifest: probed},
		{name: "its Service is nowhere", manifest: probed, want: []string{"headless-service/missing Deny"}, code: 1},
		{name: "its Service there is not headless", there: notHeadless, manifest: probed, want: []string{"headless-service/not-headless Deny"}, code: 1},
		{name: "its Service there is not headless, the one among the files is", there: notHeadless, manifest: service + "---" + probed, want: nil},
		{
			name: "the profile of its namespace there", labels: []string{"mooring.dev/profile=restricted"}, there: service, manifest: bare,
			want: []string{"readiness/no-probe Deny"}, code: 1,
		},
		{
			name: "and its mode", labels: []string{"mooring.dev/profile=restricted", "mooring.dev/mode=warn"}, there: service, manifest: bare,
			want: []string{"readiness/no-probe Warn"},
		},
		{
			name: "a scale-down of what runs there", there: service + "---" + statefulSet("replicas: 3"), manifest: statefulSet("replicas: 0"),
			want: []string{"readiness/no-probe Warn", "scale-down/to-zero Deny"}, code: 1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newShell(t, tc.labels...)
			if tc.there != "" {
				s.mustWith(tc.there, "apply", "-f", "-")
			}
			if strings.Contains(tc.there, "StatefulSet") {
				s.settled(3)
			}
			got := s.check(s.kubeconfig, tc.manifest, "--context=mooring")
			if diff := cmp.Diff(tc.want, got.found); diff != "" || got.code != tc.code {
				t.Errorf("exit code %d, want %d, findings (-want +got)\n%s%s", got.code, tc.code, diff, got.messages+got.stderr)
			}
			if got.objects == 0 {
				t.Error("nothing was judged")
			}
		})
	}
}

// TestCheckByWhoMayReadLittle checks that what a user cannot read is unknown: check warns, and names the missing right.
func TestCheckByWhoMayReadLittle(t *testing.T) {
	s := newShell(t)
	s.mustWith(service, "apply", "-f", "-")
	s.must("create", "role", "reader", "--verb=get,list", "--resource=statefulsets")
	s.must("create", "rolebinding", "reader", "--role=reader", "--user=reader-of-"+s.namespace)
	kubeconfig, err := cluster.KubeconfigFor("reader-of-" + s.namespace)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.NewReplacer("name: db,", "name: other,", "serviceName: db", "serviceName: other").Replace(statefulSet("replicas: 1"))
	got := s.check(kubeconfig, statefulSet("replicas: 1")+"---"+other, "--context=mooring")
	if got.code != 0 || !slices.Contains(got.found, "headless-service/missing Warn") {
		t.Errorf("exit code %d, findings %q; want 0, and a warning that the Service is not known\n%s", got.code, got.found, got.stderr)
	}
	for _, found := range got.found {
		if strings.HasSuffix(found, " Deny") {
			t.Errorf("%s depends on an object that the user may not read", found)
		}
	}
	const services = `cannot get resource "services" in API group "" in the namespace "`
	if n := strings.Count(got.stderr, services+s.namespace); n != 1 {
		t.Errorf("it is said %d times, and not once, that the Services are not known:\n%s", n, got.stderr)
	}
}

// TestCheckWithoutItsCluster checks that an unreachable cluster is one clear error without a long wait.
func TestCheckWithoutItsCluster(t *testing.T) {
	s := newShell(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// It accepts connections and never answers.
	t.Cleanup(func() { silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	to := func(address string) string {
		kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
		text := `{apiVersion: v1, kind: Config, clusters: [{name: mooring, cluster: {server: "http://` + address + `"}}], contexts: [{name: mooring, context: {cluster: mooring}}]}`
		if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return kubeconfig
	}
	nobody, err := cluster.KubeconfigForToken("nobody", "no-token")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, kubeconfig, context, want string }{
		{"an unknown context", s.kubeconfig, "nowhere", `--context: context "nowhere" does not exist`},
		{"no kubeconfig", filepath.Join(t.TempDir(), "nothing"), "mooring", "no such file or directory"},
		{"a server that is gone", to(closed.Addr().String()), "mooring", "--context: cannot read the cluster of mooring: "},
		{"a server that does not answer", to(silent.Addr().String()), "mooring", "--context: cannot read the cluster of mooring: "},
		{"a user whom it does not know", nobody, "mooring", "--context: cannot read the cluster of mooring: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got := s.check(tc.kubeconfig, service, "--context="+tc.context)
			if got.code != 2 || got.objects > 0 || !strings.Contains(got.stderr, tc.want) {
				t.Errorf("exit code %d, want 2; %d objects judged, want none; it says\n%s\nwant %s", got.code, got.objects, got.stderr, tc.want)
			}
			if took := time.Since(began); took > 45*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestWhatAPIServersSay checks the API server's answer to manifests that check rejects: for an unknown field, and for StatefulSets
// whose Pods cannot run. An older server accepts those and refuses the Pods.
func TestWhatAPIServersSay(t *testing.T) {
	t.Run("unknown-field/unknown", func(t *testing.T) {
		s := newShell(t)
		misspelled := service + "---" + statefulSet("replicas: 1", "persistentVolumeClaimRetentionpolicy: {whenDeleted: Delete}")
		if out, err := s.try(misspelled, "apply", "-f", "-"); err == nil || !strings.Contains(out, `unknown field "spec.persistentVolumeClaimRetentionpolicy"`) {
			t.Errorf("kubectl says %v, %s", err, out)
		}
		if out := s.mustWith(misspelled, "apply", "-f", "-", "--validate=warn"); !strings.Contains(out, `Warning: unknown field "spec.persistentVolumeClaimRetentionpolicy"`) {
			t.Errorf("the API server says %s", out)
		}
		if kept := s.must("get", "statefulset", "db", "-o", "jsonpath={.spec.persistentVolumeClaimRetentionPolicy.whenDeleted}"); kept != "Retain" {
			t.Errorf("what holds is %s", kept)
		}
	})
	for _, tc := range []struct{ finding, manifest, refusal string }{
		{"claim-template/no-access-mode", strings.Replace(statefulSet("replicas: 1"), "accessModes: [ReadWriteOnce], ", "", 1), "spec.accessModes: Required value"},
		{"claim-template/no-volume", strings.Replace(statefulSet("replicas: 1"), "name: data, mountPath", "name: dta, mountPath", 1), `volumeMounts[0].name: Not found: "dta"`},
	} {
		t.Run(tc.finding, func(t *testing.T) {
			s := newShell(t)
			if out, err := s.try(service+"---"+tc.manifest, "apply", "-f", "-"); err == nil {
				s.eventually([]string{"get", "events", "--field-selector=reason=FailedCreate", "-o", "jsonpath={.items[*].message}"}, tc.refusal)
			} else if !strings.Contains(out, tc.refusal) {
				t.Errorf("the API server says %s", out)
			}
			if got := s.check(s.kubeconfig, service+"---"+tc.manifest); !slices.Contains(got.found, tc.finding+" Warn") {
				t.Errorf("check finds %q", got.found)
			}
		})
	}
}
