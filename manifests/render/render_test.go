package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/manifests"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
)

// loading returns a loader with these values files and assignments for charts, and with kustomizations.
func loading(valueFiles, assignments []string) manifests.Loader {
	release := manifests.Release{Namespace: "shop", ValueFiles: valueFiles, Values: assignments}
	return manifests.Loader{Chart: Chart, Release: release, Kustomization: Kustomization}
}

const (
	metadata = "apiVersion: v2\nname: db\nversion: 0.1.0\n"
	values   = "name: db\nreplicas: 3\n"

	named = `{{ define "db.name" }}{{ .Values.name }}{{ end }}
`
	statefulSet = `apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "db.name" . }}
  namespace: {{ .Release.Namespace }}
spec:
  serviceName: {{ include "db.name" . }}
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: example/db, readinessProbe: {tcpSocket: {port: 1}}}]
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
`
	service = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {clusterIP: 10.0.0.1, selector: {app: db}}\n"
	plain   = `apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
spec:
  # The peers find each other by it.
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: example/db, readinessProbe: {tcpSocket: {port: 1}}}]
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
`
)

// with returns the files of the chart db, and these.
func with(files map[string]string) map[string]string {
	all := map[string]string{
		"db/Chart.yaml": metadata, "db/values.yaml": values,
		"db/templates/_helpers.tpl": named, "db/templates/statefulset.yaml": statefulSet,
		"db/templates/NOTES.txt": "kind: StatefulSet\napiVersion: apps/v1\nmetadata: {name: {{ .Release.Name }}}\n",
	}
	for name, text := range files {
		all[name] = text
	}
	return all
}

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// pack packs a chart's files into an archive.
func pack(t *testing.T, files map[string]string) string {
	t.Helper()
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	packed := tar.NewWriter(compressed)
	for name, text := range files {
		if err := packed.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := packed.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.String()
}

// findings returns the baseline's findings on a set, and what could not be read, one line each, sorted.
func findings(t *testing.T, set *manifests.Set, base *manifests.Set) []string {
	t.Helper()
	compiled, err := policies.Compile(rules.All, nil, "baseline")
	if err != nil {
		t.Fatal(err)
	}
	r := set.Judge(manifests.Judgement{Policies: compiled, Base: base})
	var lines []string
	for _, f := range r.Findings {
		lines = append(lines, fmt.Sprintf("%s:%d %s %s %s", f.Position.File, f.Position.Line, f.Object, f.ID(), f.Action))
	}
	for _, e := range r.Errors {
		lines = append(lines, e.String())
	}
	slices.Sort(lines)
	return lines
}

// objects returns the objects of a set with their files, one line each.
func objects(set *manifests.Set) []string {
	var lines []string
	for _, d := range set.Documents() {
		lines = append(lines, fmt.Sprintf("%s %s", d.File.Name, policies.RefTo(d.Object)))
	}
	return lines
}

func TestChart(t *testing.T) {
	db := func(replicas int) []string {
		missing := "db/templates/statefulset.yaml:7 StatefulSet shop/db headless-service/missing Warn"
		if replicas == 1 {
			return []string{missing}
		}
		return []string{missing, "db/values.yaml:2 StatefulSet shop/db disruption-budget/none Warn"}
	}
	sub := map[string]string{
		"sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "sub/values.yaml": "ip: None\n",
		"sub/templates/service.yaml": strings.Replace(service, "10.0.0.1", "{{ .Values.ip }}", 1),
	}
	vendored := func(files map[string]string) map[string]string {
		files["db/Chart.yaml"] = metadata + "dependencies: [{name: sub, version: 1.x.x, repository: https://charts.example.com}]\n"
		return with(files)
	}
	for _, tc := range []struct {
		name                    string
		files                   map[string]string
		valueFiles, assignments []string
		want                    []string
	}{
		{name: "its own values", files: with(nil), want: db(3)},
		{
			name: "the last values file wins", files: with(map[string]string{"five.yaml": "replicas: 5\n", "one.yaml": "replicas: 1\n"}),
			valueFiles: []string{"five.yaml", "one.yaml"}, want: db(1),
		},
		{
			name: "--set overrides --values", files: with(map[string]string{"five.yaml": "replicas: 5\n"}),
			valueFiles: []string{"five.yaml"}, assignments: []string{"replicas=1"}, want: db(1),
		},
		{
			name: "a value that is not a number", files: with(nil), assignments: []string{"replicas=many"},
			want: []string{"db/templates/statefulset.yaml:8:3: the StatefulSet cannot be read: json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of type int32"},
		},
		{
			name: "a missing values file", files: with(nil), valueFiles: []string{"prod.yaml"},
			want: []string{"db/Chart.yaml: cannot be rendered: --values: prod.yaml: no such file or directory"},
		},
		{
			name: "an assignment without a value", files: with(nil), assignments: []string{"replicas"},
			want: []string{`db/Chart.yaml: cannot be rendered: --set: "replicas": key "replicas" has no value`},
		},
		{
			name: "a dependency in a folder", files: vendored(map[string]string{
				"db/charts/sub/Chart.yaml": sub["sub/Chart.yaml"], "db/charts/sub/values.yaml": sub["sub/values.yaml"],
				"db/charts/sub/templates/service.yaml": sub["sub/templates/service.yaml"],
			}),
			assignments: []string{"sub.ip=10.0.0.1", "replicas=1"},
			want: []string{
				"db/templates/statefulset.yaml:7 StatefulSet shop/db headless-service/not-headless Deny",
			},
		},
		{
			name: "a packaged dependency", files: vendored(map[string]string{"db/charts/sub-1.0.0.tgz": pack(t, sub)}),
			assignments: []string{"replicas=1"},
		},
		{
			name: "a missing dependency", files: vendored(map[string]string{}),
			want: []string{"db/Chart.yaml: cannot be rendered: its dependencies are not in its charts folder: sub. Fix: helm dependency build db"},
		},
		{
			name:  "a library chart",
			files: map[string]string{"lib/Chart.yaml": "apiVersion: v2\nname: lib\nversion: 0.1.0\ntype: library\n", "lib/templates/_db.tpl": named},
		},
		{
			name: "a template that cannot be parsed", files: with(map[string]string{"db/templates/service.yaml": "kind: Service\nmetadata: {name: {{ if }}}\n"}),
			want: []string{"db/templates/service.yaml:2: cannot be rendered: missing value for if"},
		},
		{
			name: "a template that fails", files: with(map[string]string{"db/templates/service.yaml": "kind: Service\nmetadata: {name: {{ .Values.a.b }}}\n"}),
			want: []string{`db/templates/service.yaml:2:28: cannot be rendered: executing "db/templates/service.yaml" at <.Values.a.b>: nil pointer evaluating interface {}.b`},
		},
		{
			name: "a template that requires a value", files: with(map[string]string{"db/templates/service.yaml": "kind: Service\nmetadata: {name: {{ required \"name what the clients use\" .Values.a }}}\n"}),
			want: []string{"db/templates/service.yaml:2:21: cannot be rendered: name what the clients use"},
		},
		{
			name: "a template whose output is not YAML", files: with(map[string]string{"db/templates/service.yaml": "kind: Service\nmetadata:\n  name: {{ .Values.name }}\n   namespace: shop\n"}),
			assignments: []string{"replicas=1"},
			want:        slices.Concat([]string{"db/templates/service.yaml:4:4: mapping values are not allowed in this context"}, db(1)),
		},
		{
			name: "values that the chart's schema rejects", files: with(map[string]string{"db/values.schema.json": `{"properties": {"replicas": {"minimum": 5}}}`}),
			want: []string{"db/values.schema.json: cannot be rendered: the values of chart db: /replicas: minimum: got 3, want 5"},
		},
		{
			name: "the Kubernetes version", files: with(map[string]string{"db/templates/service.yaml": `{{ if semverCompare "<1.34-0" .Capabilities.KubeVersion.Version }}{{ fail "too old" }}{{ end }}`}),
			assignments: []string{"replicas=1"}, want: db(1),
		},
		{name: "an invalid Chart.yaml", files: with(map[string]string{"db/Chart.yaml": "name: [\n"}), want: []string{"db/Chart.yaml: cannot be rendered: cannot load Chart.yaml: error converting YAML to JSON: yaml: line 1: did not find expected node content"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, ".", tc.files)
			if diff := cmp.Diff(tc.want, findings(t, loading(tc.valueFiles, tc.assignments).Load("."), nil)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestKubeVersion checks that charts are rendered for the Kubernetes whose types are compiled in.
func TestKubeVersion(t *testing.T) {
	module, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	minor := regexp.MustCompile(`k8s\.io/client-go v0\.(\d+)\.`).FindSubmatch(module)
	if minor == nil || string(minor[1]) != kubeVersion.Minor {
		t.Errorf("charts are rendered for Kubernetes %s, go.mod has %q", kubeVersion.Version, minor)
	}
}

func TestKustomization(t *testing.T) {
	base := func(files map[string]string) map[string]string {
		all := map[string]string{"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": plain}
		for name, text := range files {
			all[name] = text
		}
		return all
	}
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{
			name: "alone", files: base(nil),
			want: []string{
				"base/db.yaml:7 StatefulSet db headless-service/missing Warn",
				"base/db.yaml:8 StatefulSet db disruption-budget/none Warn",
			},
		},
		{
			name: "an overlay with a patch and a namespace", files: base(map[string]string{
				"prod/kustomization.yaml": "namespace: shop\nresources: [../base]\npatches: [{path: one.yaml}]\n",
				"prod/one.yaml":           "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 1}\n",
			}),
			want: []string{"base/db.yaml:7 StatefulSet shop/db headless-service/missing Warn"},
		},
		{
			name: "two overlays do not see each other", files: base(map[string]string{
				"prod/kustomization.yaml": "resources: [../base, service.yaml]\nreplicas: [{name: db, count: 1}]\n",
				"prod/service.yaml":       strings.Replace(service, ", namespace: shop", "", 1),
				"test/kustomization.yaml": "resources: [../base]\nreplicas: [{name: db, count: 1}]\n",
			}),
			want: []string{
				"base/db.yaml:7 StatefulSet db headless-service/missing Warn",
				"base/db.yaml:7 StatefulSet db headless-service/not-headless Deny",
			},
		},
		{
			name: "generated objects, which have no file", files: map[string]string{
				"a/kustomization.yaml": "configMapGenerator: [{name: a, literals: [url=https://example.com], options: {annotations: {at: https://example.com}}}]\ngenerators: [claim.yaml]\n",
				"a/claim.yaml":         "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: b}\nliterals: [a=b]\n",
			},
		},
		{
			name: "a component that a kustomization uses", files: base(map[string]string{
				"one/kustomization.yaml":  "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nreplicas: [{name: db, count: 1}]\n",
				"prod/kustomization.yaml": "resources: [../base]\ncomponents: [../one]\n",
			}),
			want: []string{"base/db.yaml:7 StatefulSet db headless-service/missing Warn"},
		},
		{
			name: "an unused component", files: base(map[string]string{
				"one/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [nowhere.yaml]\n",
				"base/service.yaml":      "not: {read\n", "base/kustomization.yaml": "resources: [db.yaml]\nreplicas: [{name: db, count: 1}]\n",
			}),
			want: []string{"base/db.yaml:7 StatefulSet db headless-service/missing Warn"},
		},
		{
			name: "a remote base", files: map[string]string{"prod/kustomization.yaml": "resources:\n- https://github.com/example/charts//db?ref=v1\n"},
			want: []string{"prod/kustomization.yaml:2: cannot be rendered: resources names https://github.com/example/charts//db?ref=v1, which is not a file or folder here, and Mooring downloads nothing"},
		},
		{
			name: "a remote base of a base", files: map[string]string{
				"base/kustomization.yaml": "resources:\n- git@example.com:db.git\n",
				"prod/kustomization.yaml": "resources: [../base]\n",
			},
			want: []string{"base/kustomization.yaml:2: cannot be rendered: resources names git@example.com:db.git, which is not a file or folder here, and Mooring downloads nothing (in 1 overlay: prod)"},
		},
		{
			name: "a remote patch", files: base(map[string]string{"prod/kustomization.yaml": "resources: [../base]\npatches:\n- path: https://example.com/patch.yaml\n"}),
			want: []string{"prod/kustomization.yaml:3: cannot be rendered: patches names https://example.com/patch.yaml, which is not a file or folder here, and Mooring downloads nothing"},
		},
		{
			name: "a remote file of a ConfigMap", files: map[string]string{"a/kustomization.yaml": "configMapGenerator:\n- name: a\n  files:\n  - key=https://example.com/key?ref=1\n"},
			want: []string{"a/kustomization.yaml:4: cannot be rendered: configMapGenerator names key=https://example.com/key?ref=1, which is not a file or folder here, and Mooring downloads nothing"},
		},
		{
			name: "a missing resource", files: base(map[string]string{"prod/kustomization.yaml": "resources:\n- ../base\n- ../bass\n"}),
			want: []string{"prod/kustomization.yaml:3: cannot be rendered: resources names ../bass, which is not a file or folder here, and Mooring downloads nothing"},
		},
		{
			name: "a kustomization that is not YAML", files: map[string]string{"a/kustomization.yaml": "resources: [a: b\n"},
			want: []string{"a/kustomization.yaml:2: cannot be read: did not find expected ',' or ']'"},
		},
		{
			name: "an unknown field", files: map[string]string{"a/kustomization.yaml": "resurces: [a.yaml]\n"},
			want: []string{`a/kustomization.yaml: cannot be rendered: invalid Kustomization: json: unknown field "resurces"`},
		},
		{
			name: "a resource that is not YAML", files: map[string]string{"a/kustomization.yaml": "resources: [a.yaml]\n", "a/a.yaml": "a: {\n"},
			want: []string{"a/a.yaml:1: cannot be rendered: did not find expected node content"},
		},
		{
			name: "a patch that matches no object", files: base(map[string]string{
				"prod/kustomization.yaml": "resources: [../base]\npatches: [{path: one.yaml}]\n",
				"prod/one.yaml":           "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: bd}\nspec: {replicas: 1}\n",
			}),
			want: []string{`prod/kustomization.yaml: cannot be rendered: no resource matches strategic merge patch "StatefulSet.v1.apps/bd.[noNs]"`},
		},
		{
			name: "helmCharts in a kustomization", files: map[string]string{"a/kustomization.yaml": "helmCharts: [{name: db, repo: https://charts.example.com, version: 1.0.0}]\n"},
			want: []string{"a/kustomization.yaml:1: cannot be rendered: helmCharts needs helm itself: kustomize build --enable-helm FOLDER | mooring check -"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, ".", tc.files)
			// Any download would fail at once.
			t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
			t.Setenv("GIT_SSH_COMMAND", "false")
			if diff := cmp.Diff(tc.want, findings(t, loading(nil, nil).Load("."), nil)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestObjectsKnowTheirFiles checks the file of each object, and that a chart's notes and helpers are not objects.
func TestObjectsKnowTheirFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", with(map[string]string{
		"db/templates/services.yaml": service + "---\n" + strings.Replace(service, "name: db", "name: db-peers", 1),
		"prod/kustomization.yaml":    "namePrefix: prod-\nresources: [../base, service.yaml]\n",
		"prod/service.yaml":          service, "base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": plain,
	}))
	want := []string{
		"db/templates/services.yaml Service shop/db", "db/templates/services.yaml Service shop/db-peers",
		"db/templates/statefulset.yaml StatefulSet shop/db",
		"base/db.yaml StatefulSet prod-db", "prod/service.yaml Service shop/prod-db",
	}
	if diff := cmp.Diff(want, objects(loading(nil, nil).Load("."))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestBaseHadNoSuchValuesFile checks that a new values file does not apply to the chart before.
func TestBaseHadNoSuchValuesFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", with(nil))
	commit(t)
	write(t, ".", map[string]string{"new.yaml": "replicas: 0\n"})
	l := loading([]string{"new.yaml"}, nil)
	now, base, err := l.LoadChange("HEAD", "db")
	if err != nil || len(base.Errors) > 0 {
		t.Fatal(err, base.Errors)
	}
	want := []string{
		"db/templates/statefulset.yaml:7 StatefulSet shop/db headless-service/missing Warn",
		"new.yaml:1 StatefulSet shop/db scale-down/to-zero Deny",
	}
	if diff := cmp.Diff(want, findings(t, now, base)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// commit commits this folder as the first revision of a repository.
func commit(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "base"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

// TestBase compares charts and kustomizations with a revision of git and with a folder.
func TestBase(t *testing.T) {
	quiet := "replicas: [{name: db, count: 3}]\n"
	for _, tc := range []struct {
		name, path string
		was, is    map[string]string
		valueFiles []string
		want       []string
	}{
		{
			name: "a chart's values", path: "db", was: with(nil), is: with(map[string]string{"db/values.yaml": "name: db\nreplicas: 0\n"}),
			want: []string{
				"db/templates/statefulset.yaml:7 StatefulSet shop/db headless-service/missing Warn",
				"db/values.yaml:2 StatefulSet shop/db scale-down/to-zero Deny",
			},
		},
		{
			name: "a values file beside the chart", path: "db", valueFiles: []string{"prod.yaml"},
			was: with(map[string]string{"prod.yaml": "replicas: 5\n"}), is: map[string]string{"prod.yaml": "replicas: 0\n"},
			want: []string{
				"db/templates/statefulset.yaml:7 StatefulSet shop/db headless-service/missing Warn",
				"prod.yaml:1 StatefulSet shop/db scale-down/to-zero Deny",
			},
		},
		{
			name: "a value renames the StatefulSet", path: "db", was: with(nil), is: with(map[string]string{"db/values.yaml": "name: database\nreplicas: 1\n"}),
			want: []string{
				"db/templates/statefulset.yaml:4 StatefulSet shop/db delete-protection/renamed Deny",
				"db/templates/statefulset.yaml:7 StatefulSet shop/database headless-service/missing Warn",
			},
		},
		{
			name: "a kustomization with its base in another folder", path: "prod",
			was: map[string]string{"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": plain, "prod/kustomization.yaml": "namespace: shop\nresources: [../base]\n"},
			is: map[string]string{
				"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": strings.Replace(plain, "replicas: 3", "replicas: 0", 1),
				"prod/kustomization.yaml": "namespace: shop\nresources: [../base]\n",
			},
			want: []string{
				"base/db.yaml:7 StatefulSet shop/db headless-service/missing Warn",
				"base/db.yaml:8 StatefulSet shop/db scale-down/to-zero Deny",
			},
		},
		{
			name: "a patch is removed", path: ".",
			was: map[string]string{"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": strings.Replace(plain, "replicas: 3", "replicas: 0", 1), "prod/kustomization.yaml": "resources: [../base]\n" + quiet},
			is:  map[string]string{"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": strings.Replace(plain, "replicas: 3", "replicas: 0", 1), "prod/kustomization.yaml": "resources: [../base]\n"},
			want: []string{
				"base/db.yaml:7 StatefulSet db headless-service/missing Warn",
				"base/db.yaml:8 StatefulSet db scale-down/to-zero Deny",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			was, is := filepath.Join(root, "was"), filepath.Join(root, "is")
			write(t, was, tc.was)
			write(t, is, tc.was)
			t.Chdir(is)
			commit(t)
			write(t, is, tc.is)
			l := loading(tc.valueFiles, nil)
			for _, from := range []string{"HEAD", was} {
				now, base, err := l.LoadChange(from, tc.path)
				if err != nil {
					t.Fatal(err)
				}
				if len(base.Errors) > 0 {
					t.Fatal(base.Errors)
				}
				if diff := cmp.Diff(tc.want, findings(t, now, base)); diff != "" {
					t.Errorf("compared with %s (-want +got)\n%s", from, diff)
				}
			}
		})
	}
}

// TestBaseOfAnOverlayOnAnOverlay checks that an overlay is still compared after another was built on it.
func TestBaseOfAnOverlayOnAnOverlay(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", map[string]string{
		"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": plain,
		"prod/kustomization.yaml": "namespace: prod\nresources: [../base]\n",
	})
	commit(t)
	write(t, ".", map[string]string{
		"prod/kustomization.yaml": "namespace: prod\nresources: [../base]\nreplicas: [{name: db, count: 0}]\n",
		"dr/kustomization.yaml":   "namespace: dr\nresources: [../prod]\nreplicas: [{name: db, count: 3}]\n",
	})
	now, was, err := loading(nil, nil).LoadChange("HEAD", ".")
	if err != nil {
		t.Fatal(err)
	}
	want := "prod/kustomization.yaml:3 StatefulSet prod/db scale-down/to-zero Deny"
	got := findings(t, now, was)
	if !slices.Contains(got, want) || slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, "removed") }) {
		t.Errorf("%q", got)
	}
}

// TestBaseOfAChartWithDependenciesThatGitIgnores checks that downloaded dependencies also count for the base, unless its lock file
// has others.
func TestBaseOfAChartWithDependenciesThatGitIgnores(t *testing.T) {
	for name, lock := range map[string]string{"the same lock": "digest: a\n", "another lock": "digest: b\n"} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, ".", with(map[string]string{
				"db/Chart.yaml": metadata + "dependencies: [{name: sub, version: 1.x.x, repository: https://charts.example.com}]\n", "db/Chart.lock": "digest: a\n", ".gitignore": "charts/\n",
				"db/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "db/charts/sub/templates/service.yaml": service,
			}))
			commit(t)
			write(t, ".", map[string]string{"db/values.yaml": "name: db\nreplicas: 0\n", "db/Chart.lock": lock})
			now, base, err := loading(nil, nil).LoadChange("HEAD", "db")
			if err != nil || len(now.Errors) > 0 {
				t.Fatal(err, now.Errors)
			}
			if lock != "digest: a\n" {
				if len(base.Errors) != 1 || !strings.Contains(base.Errors[0].Message, "helm dependency build") {
					t.Errorf("errors of the base: %v", base.Errors)
				}
				return
			}
			if got := findings(t, now, base); !slices.Contains(got, "db/values.yaml:2 StatefulSet shop/db scale-down/to-zero Deny") {
				t.Errorf("%q", got)
			}
		})
	}
}
