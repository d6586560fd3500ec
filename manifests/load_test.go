package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/report"
)

// load writes the files into a folder and loads them all.
func load(t *testing.T, files map[string]string) *Set {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, files)
	t.Chdir(folder)
	return Loader{Stdin: strings.NewReader("")}.Load(".")
}

// describe returns one line for each object and error of a set.
func describe(set *Set) []string {
	var lines []string
	for _, d := range set.Documents() {
		p := d.Position("")
		lines = append(lines, fmt.Sprintf("%s:%d:%d %s", p.File, p.Line, p.Column, policies.RefTo(d.Object)))
	}
	for _, e := range set.Errors {
		lines = append(lines, fmt.Sprintf("%s:%d:%d %s", e.Position.File, e.Position.Line, e.Position.Column, e.Message))
	}
	return lines
}

func TestLoad(t *testing.T) {
	service := func(name string) string { return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\n" }
	for _, tc := range []struct {
		name    string
		files   map[string]string
		want    []string
		objects int
	}{
		{name: "nothing", files: map[string]string{"a.yaml": "\n# nothing\n---\n---\n"}},
		{
			name: "several documents", objects: 2,
			files: map[string]string{"a.yaml": "# first\n" + service("a") + "--- # second\n" + service("b") + "...\n"},
			want:  []string{"a.yaml:2:1 Service a", "a.yaml:6:1 Service b"},
		},
		{
			name: "an unknown field does not stop an object from being read", objects: 1,
			files: map[string]string{"a.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {servicName: a}\n"},
			want:  []string{"a.yaml:1:1 StatefulSet a"},
		},
		{
			name: "a directive, a byte order mark and Windows line endings", objects: 2,
			files: map[string]string{
				"a.yaml": "%YAML 1.1\n---\n" + service("a"),
				"b.yaml": "\ufeff" + strings.ReplaceAll(service("b"), "\n", "\r\n"),
			},
			want: []string{"a.yaml:3:1 Service a", "b.yaml:1:1 Service b"},
		},
		{
			name: "a stream of JSON", objects: 2,
			files: map[string]string{"a.json": `
{"apiVersion": "v1", "kind": "Service",
	"metadata": {"name": "a"}}
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}}`},
			want: []string{"a.json:2:1 Service a", "a.json:4:1 Service b"},
		},
		{
			name: "lists", objects: 3,
			files: map[string]string{"a.yaml": `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: a}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
apiVersion: apps/v1
kind: StatefulSetList
items:
- metadata: {name: b}
`},
			want: []string{"a.yaml:4:3 Service a", "a.yaml:12:3 StatefulSet b"},
		},
		{
			name: "objects that no rule reads are counted, but not decoded", objects: 3,
			files: map[string]string{"a.yaml": `apiVersion: v1
kind: ConfigMap
data: [this: is, broken
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: other}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: without-claim}
`},
		},
		{
			name:  "files without Kubernetes objects",
			files: map[string]string{"values.yaml": "replicas: 3\nimage: {name: [}\n", "package.json": `{"name": "x"}`},
		},
		{
			name: "a kind inside a string", objects: 1,
			files: map[string]string{"a.yaml": "apiVersion: apps/v1\n\"kind\": StatefulSet\nmetadata: {name: a, annotations: {x: 'one\nkind: ConfigMap\n'}}\n"},
			want:  []string{"a.yaml:1:1 StatefulSet a"},
		},
		{
			name: "errors", objects: 5,
			files: map[string]string{"a.yaml": service("a") + `---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: b}
spec:
	replicas: 3
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: c}
spec:
  serviceName: c
  replicas: three
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {namespace: d}
---
kind: StatefulSet
---
apiVersion: v1
kind: List
items: [3, {apiVersion: v1}]
---
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: e}
spec: {rules: {scaleDown: {action: Deny, maxSteps: 1}}}
---
` + service("z")},
			want: []string{
				"a.yaml:1:1 Service a", "a.yaml:33:1 Service z",
				"a.yaml:9:0 found character that cannot start any token",
				"a.yaml:16:3 the StatefulSet cannot be read: json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of type int32",
				"a.yaml:20:1 the StatefulSet cannot be read: there is no metadata.name",
				"a.yaml:22:1 the StatefulSet has no apiVersion",
				"a.yaml:26:9 items[0] is not an object",
				"a.yaml:26:12 items[1] has no kind",
				`a.yaml:31:42 the StatefulPolicy cannot be read: unknown field "spec.rules.scaleDown.maxSteps"`,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := load(t, tc.files)
			if diff := cmp.Diff(tc.want, describe(set)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if set.Objects != tc.objects {
				t.Errorf("%d objects, want %d", set.Objects, tc.objects)
			}
		})
	}
}

func TestLoadReadsYAMLAsKubectlDoes(t *testing.T) {
	set := load(t, map[string]string{"a.yaml": `
base: &labels {app: db, tier: data}
apiVersion: v1
kind: Service
metadata:
  name: first
  name: last
  creationTimestamp: null
  labels: {<<: *labels, tier: cache}
  annotations: {port: "5432", on: "yes"}
spec: {publishNotReadyAddresses: yes, ports: [{port: 0x10, name: "é\t"}]}
`})
	if len(set.Errors) > 0 {
		t.Fatal(set.Errors)
	}
	service := set.Documents()[0].Object.(*corev1.Service)
	want := &corev1.Service{}
	want.APIVersion, want.Kind, want.Name = "v1", "Service", "last"
	want.Labels = map[string]string{"app": "db", "tier": "cache"}
	want.Annotations = map[string]string{"port": "5432", "on": "yes"}
	want.Spec.PublishNotReadyAddresses = true
	want.Spec.Ports = []corev1.ServicePort{{Name: "é\t", Port: 16}}
	if diff := cmp.Diff(want, service); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPosition(t *testing.T) {
	set := load(t, map[string]string{"a.yaml": `---
# Source: db/templates/statefulset.yaml
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
spec:
  replicas: 3
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
`})
	d := set.Documents()[0]
	for _, tc := range []struct {
		name, path   string
		line, column int
	}{
		{"a field", "spec.replicas", 8, 3},
		{"a missing field", "spec.serviceName", 7, 1},
		{"a field of an item", "spec.volumeClaimTemplates[0].spec.accessModes", 12, 7},
		{"a missing field of an item", "spec.volumeClaimTemplates[0].spec.storageClassName", 11, 5},
		{"an item that does not exist", "spec.volumeClaimTemplates[1].spec", 9, 3},
		{"below a scalar", "spec.replicas.more", 8, 3},
		{"the object", "", 3, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := d.Position(tc.path)
			if p.Line != tc.line || p.Column != tc.column || p.Template != "db/templates/statefulset.yaml" {
				t.Errorf("%+v, want line %d, column %d and the template", p, tc.line, tc.column)
			}
		})
	}
	if set, ok := d.Object.(*appsv1.StatefulSet); !ok || set.Spec.UpdateStrategy.Type != "" {
		t.Error("the object is not as its author wrote it")
	}
	if !d.Has("spec.replicas") || d.Has("spec.serviceName") {
		t.Error("Has does not tell what the author wrote")
	}
	quoted := d.Lines("spec.replicas")
	if i := slices.IndexFunc(quoted, func(l report.Line) bool { return l.Offending }); i < 0 || quoted[i].Text != "  replicas: 3" || quoted[i].Number != 8 {
		t.Errorf("quoted %v", quoted)
	}
}

// TestLongLinesAreCut checks that only the surroundings of a field are quoted from JSON on one line.
func TestLongLinesAreCut(t *testing.T) {
	long := strings.Repeat(`{"name": "KEY", "value": "é"}, `, 5000)
	set := load(t, map[string]string{"a.json": `{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"name": "a", "env": [` +
		long + `{}]}]}}, "replicas": 3, "selector": {}, "x": [` + long + `{}]}}`})
	lines := set.Documents()[0].Lines("spec.replicas")
	if len(lines) != 1 || !strings.Contains(lines[0].Text, `"replicas": 3`) || utf8.RuneCountInString(lines[0].Text) > longest+2 {
		t.Errorf("%v", lines)
	}
}
