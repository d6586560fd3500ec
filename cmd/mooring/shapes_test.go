package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	gocmp "github.com/google/go-cmp/cmp"
)

var updateShapes = flag.Bool("shapes", false, "write docs/measurements/shapes.md")

// shape is a way to organize manifests in a repository.
type shape struct {
	name string
	// files by name; a content that begins with -> is a link.
	files map[string]string
	// args are the arguments of check, by default ".".
	args string
}

// headless is a Service without a cluster IP.
func headless(name string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {clusterIP: None, selector: {app: " + name + "}, ports: [{port: 5432}]}\n"
}

func budgeted(name string) string {
	return strings.Join([]string{database(name, "3"), headless(name), "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: " + name + "}\nspec: {maxUnavailable: 1, selector: {matchLabels: {app: " + name + "}}}\n"}, "---\n")
}

func chartOf(folder, name string, more map[string]string) map[string]string {
	files := map[string]string{}
	for file, text := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\n", "values.yaml": "replicas: 3\n", "templates/db.yaml": database(name, "{{ .Values.replicas }}"),
		"templates/service.yaml": headless(name), "templates/NOTES.txt": "kind: StatefulSet\n",
	} {
		files[folder+"/"+file] = text
	}
	for file, text := range more {
		files[folder+"/"+file] = text
	}
	return files
}

func all(of ...map[string]string) map[string]string {
	files := map[string]string{}
	for _, f := range of {
		maps.Copy(files, f)
	}
	return files
}

// inJSON returns a StatefulSet as programs write it.
func inJSON(name string) string {
	return `{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "` + name + `"}, "spec": {"serviceName": "` + name + `", "replicas": 3, "selector": {"matchLabels": {"app": "` + name + `"}}, ` +
		`"template": {"metadata": {"labels": {"app": "` + name + `"}}, "spec": {"containers": [{"name": "db", "image": "db:1", "readinessProbe": {"tcpSocket": {"port": 1}}}]}}}}`
}

func inUTF16(text string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}

const application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: NAME, namespace: argocd}\nspec: {project: default, source: {repoURL: 'https://git.example.com/shop.git', path: NAME}, destination: {namespace: NAME}}\n"

var shapes = []shape{
	{name: "plain manifests, a file for each object", files: map[string]string{"deploy/statefulset.yaml": database("db", "3"), "deploy/service.yaml": headless("db")}},
	{name: "several documents in a file", files: map[string]string{"deploy.yaml": "# everything\n---\n" + budgeted("db") + "---\n---\n" + database("cache", "1")}},
	{name: "folders for environments with the same objects", files: map[string]string{"prod/db.yaml": budgeted("db"), "test/db.yaml": database("db", "1") + "---\n" + serves("db", "{port: 5432}")}},
	{name: "a List in JSON, as kubectl get prints it", files: map[string]string{"backup.json": `{"apiVersion": "v1", "kind": "List", "items": [` + inJSON("a") + ", " + inJSON("b") + "]}"}},
	{name: "jsonnet's output: a stream of JSON, and the source beside it", files: map[string]string{"main.jsonnet": "{ kind: 'StatefulSet' }", "out/all.json": inJSON("a") + "\n" + inJSON("b") + "\n"}},
	{name: "anchors, merge keys and Windows line ends", files: map[string]string{
		"db.yaml": strings.ReplaceAll("x: &labels {app: db}\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, labels: *labels}\nspec:\n  serviceName: db\n  selector: {matchLabels: {<<: *labels}}\n  template: {metadata: {labels: *labels}, spec: {containers: [{name: db, image: 'db:1'}]}}\n", "\n", "\r\n")}},
	{name: "manifests of older API versions", files: map[string]string{
		"db.yaml": strings.Replace(database("db", "3"), "apps/v1", "apps/v1beta2", 1), "hpa.yaml": "apiVersion: autoscaling/v2beta2\nkind: HorizontalPodAutoscaler\nmetadata: {name: db}\nspec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}}\n"}},
	{name: "a chart in the root", files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n", "values.yaml": "grace: 0\n", "templates/db.yaml": strings.Replace(killed("c", "1"), "Seconds: 0", "Seconds: {{ .Values.grace }}", 1)}},
	{name: "a monorepo of charts with a library", files: all(chartOf("charts/a", "a", nil), chartOf("charts/b", "b", nil), chartOf("charts/c", "c", map[string]string{"templates/service.yaml": serves("c", "{port: 80}")}),
		map[string]string{"charts/lib/Chart.yaml": "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n", "charts/lib/templates/_x.tpl": "{{ define \"x\" }}x{{ end }}\n"})},
	{name: "a chart with values for continuous integration", files: chartOf("c", "c", map[string]string{"ci/one-values.yaml": "replicas: 1\n", "ci/five-values.yaml": "replicas: 5\n"})},
	{name: "a chart with a vendored dependency", files: all(chartOf("c", "c", map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.x.x, repository: 'https://charts.example.com'}]\n"}), chartOf("c/charts/sub", "sub", nil))},
	{name: "an umbrella chart with its parts beside it", files: all(chartOf("umbrella", "umbrella", map[string]string{"Chart.yaml": "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies: [{name: part, version: 1.x.x, repository: 'file://../part'}]\n"}), chartOf("part", "part", nil))},
	{name: "a chart whose dependencies are not there", files: chartOf("c", "c", map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.x.x, repository: 'https://charts.example.com'}]\n"})},
	{name: "a chart whose template fails without a value", files: chartOf("c", "c", map[string]string{"templates/db.yaml": "kind: StatefulSet\nmetadata: {name: {{ required \"a name\" .Values.name }}}\n"})},
	{name: "helmfile: a helmfile, values and templates of values", files: all(chartOf("charts/db", "db", nil), map[string]string{
		"helmfile.yaml": "releases: [{name: db, chart: ./charts/db, values: [values/db.yaml]}]\n", "values/db.yaml": "replicas: 5\n", "values/db.yaml.gotmpl": "replicas: {{ .Environment.Name }}\n"})},
	{name: "a base with overlays", files: map[string]string{
		"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": database("db", "3") + "---\n" + headless("db"),
		"overlays/a/kustomization.yaml": "namespace: a\nresources: [../../base]\n", "overlays/b/kustomization.yaml": "namespace: b\nresources: [../../base]\nreplicas: [{name: db, count: 5}]\n"}},
	{name: "overlays of overlays, with a component", files: map[string]string{
		"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": database("db", "3"), "components/quick/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: grace.yaml}]\n",
		"components/quick/grace.yaml":    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {template: {spec: {terminationGracePeriodSeconds: 0}}}\n",
		"overlays/eu/kustomization.yaml": "resources: [../../base]\nnamePrefix: eu-\n", "overlays/one/kustomization.yaml": "resources: [../eu]\nnamespace: one\ncomponents: [../../components/quick]\n", "overlays/two/kustomization.yaml": "resources: [../eu]\nnamespace: two\n"}},
	{name: "an overlay of a remote base", files: map[string]string{"kustomization.yaml": "resources:\n- https://github.com/example/base//deploy?ref=v1\n", "more/db.yaml": budgeted("db")}},
	{name: "a kustomization that inflates a chart", files: map[string]string{"kustomization.yaml": "helmCharts: [{name: db, repo: 'https://charts.example.com', version: 1.0.0}]\n"}},
	{name: "a kustomization of files elsewhere", files: map[string]string{"prod/kustomization.yaml": "resources: [../shared/db.yaml]\n", "shared/db.yaml": budgeted("db")}, args: "prod"},
	{name: "a kustomization of files elsewhere, which may be read", files: map[string]string{"prod/kustomization.yaml": "resources: [../shared/db.yaml]\n", "shared/db.yaml": budgeted("db")}, args: "prod --load-restrictor=none"},
	{name: "Argo CD's app of apps", files: map[string]string{"apps/root.yaml": strings.ReplaceAll(application, "NAME", "apps"), "apps/shop.yaml": strings.ReplaceAll(application, "NAME", "shop"), "shop/kustomization.yaml": "resources: [db.yaml]\n", "shop/db.yaml": budgeted("db")}},
	{name: "Flux: a HelmRelease and its sources", files: map[string]string{
		"db.yaml":                    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: charts}\nspec: {url: 'https://charts.example.com'}\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: db}\nspec: {chart: {spec: {chart: db}}, values: {kind: StatefulSet, replicas: 3}}\n",
		"cluster/kustomization.yaml": "resources: [../db.yaml, db.yaml]\n", "cluster/db.yaml": headless("db")}, args: "db.yaml"},
	{name: "kuttl tests", files: map[string]string{"tests/e2e/scale/00-install.yaml": database("db", "3") + "---\n" + headless("db"), "tests/e2e/scale/00-assert.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nstatus: {readyReplicas: 3}\n",
		"tests/kuttl-test.yaml": "apiVersion: kuttl.dev/v1beta1\nkind: TestSuite\n"}},
	{name: "chainsaw tests", files: map[string]string{"tests/scale/chainsaw-test.yaml": "apiVersion: chainsaw.kyverno.io/v1alpha1\nkind: Test\nmetadata: {name: scale}\nspec: {steps: [{try: [{apply: {file: db.yaml}}, {assert: {resource: {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}}}}]}]}\n",
		"tests/scale/db.yaml": database("db", "1"), "tests/scale/assert.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\n(spec.replicas > `0`): true\n"}},
	{name: "an operator's repository: definitions, samples and its own Deployment", files: map[string]string{
		"config/crd/databases.yaml":   "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: databases.db.example.com}\nspec: {group: db.example.com, names: {kind: Database, plural: databases}, scope: Namespaced, versions: []}\n",
		"config/samples/db.yaml":      "apiVersion: db.example.com/v1\nkind: Database\nmetadata: {name: db}\nspec: {replicas: 3}\n",
		"config/manager/manager.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: operator}\nspec: {selector: {matchLabels: {app: op}}, template: {metadata: {labels: {app: op}}, spec: {containers: [{name: op, image: 'op:1'}]}}}\n"}},
	{name: "somebody's own kind called StatefulSet", files: map[string]string{"db.yaml": strings.Replace(database("db", "3"), "apps/v1", "db.example.com/v1", 1)}},
	{name: "an Advanced StatefulSet of OpenKruise", files: map[string]string{"db.yaml": strings.Replace(database("db", "3"), "apps/v1", "apps.kruise.io/v1beta1", 1)}},
	{name: "misspelled fields and kinds", files: map[string]string{"db.yaml": strings.Replace(database("db", "1"), "serviceName", "servicName", 1), "other.yaml": strings.Replace(database("other", "1"), "kind: StatefulSet", "kind: Statefulset", 1)}},
	{name: "templates in Go's syntax that belong to no chart", files: map[string]string{"deploy/db.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: {{ .Name }}\n", "deploy/service.yaml": headless("db")}},
	{name: "the same, left out", files: map[string]string{"deploy/db.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: {{ .Name }}\n", "deploy/service.yaml": headless("db")}, args: ". --exclude=deploy/db.yaml"},
	{name: "a file in UTF-16, as some editors write it", files: map[string]string{"db.yaml": inUTF16(database("db", "3")), "service.yaml": headless("db")}},
	{name: "links to shared manifests, and one that leads nowhere", files: map[string]string{"shared/db.yaml": budgeted("db"), "prod/db.yaml": "->../shared/db.yaml", "prod/gone.yaml": "->../nowhere.yaml"}},
	{name: "a generated folder that git ignores, below the root", files: map[string]string{".gitignore": "out/\n", "out/db.yaml": killed("db", "1"), "service.yaml": headless("db")}},
	{name: "the same folder, named", files: map[string]string{".gitignore": "out/\n", "out/db.yaml": killed("db", "1"), "service.yaml": headless("db")}, args: "out"},
	{name: "what is no manifest: workflows, compose files, packages", files: map[string]string{".github/workflows/ci.yaml": "on: push\njobs: {}\n", "compose.yaml": "services: {db: {image: db}}\n", "package.json": `{"name": "x"}`, "deploy/db.yaml": budgeted("db")}},
	{name: "nothing that is a manifest", files: map[string]string{"README.md": "# x\n", "compose.yaml": "services: {}\n"}},
}

const shapesHead = `# Repositories of every shape

How ` + "`mooring check`" + ` does on the shapes that repositories on public forges have, each built in small by a test. A row says how many
Kubernetes objects were judged, how many of them are StatefulSets, how many inputs could not be judged, what was found under
` + "`baseline`" + `, and the exit code. Where something could not be judged the code is 2: nothing passes unread. ` + "`make shapes`" + ` writes this page, and
` + "`go test ./cmd/mooring`" + ` fails where it is not true.

| shape | check | objects | StatefulSets | errors | found | exit code |
| --- | --- | --- | --- | --- | --- | --- |
`

// TestShapes checks that the page of shapes is current.
func TestShapes(t *testing.T) {
	page, err := filepath.Abs("../../docs/measurements/shapes.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{}
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) { rows = append(rows, s.row(t)) })
	}
	got := shapesHead + strings.Join(rows, "")
	if *updateShapes {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("the page is another; make shapes writes it (-page +shapes)\n%s", diff)
	}
}

// row creates the repository and checks it.
func (s shape) row(t *testing.T) string {
	plain := maps.Clone(s.files)
	maps.DeleteFunc(plain, func(_, text string) bool { return strings.HasPrefix(text, "->") })
	mooring(t, plain, "", "version")
	for name, text := range s.files {
		if to, ok := strings.CutPrefix(text, "->"); ok {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(to, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := exec.Command("git", "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	args := cmp.Or(s.args, ".")
	code, out, errOut := here("", append([]string{"check", "-o", "json"}, strings.Fields(args)...)...)
	var report struct {
		Findings []struct{ Rule, Check, Action string }
		Summary  struct{ Objects, StatefulSets, Errors int }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errOut)
	}
	counts := map[string]int{}
	for _, f := range report.Findings {
		counts[fmt.Sprintf("%s %s/%s", f.Action, f.Rule, f.Check)]++
	}
	var found []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[what]; n > 1 {
			what = fmt.Sprintf("%d × %s", n, what)
		}
		found = append(found, what)
	}
	return fmt.Sprintf("| %s | `%s` | %d | %d | %d | %s | %d |\n", s.name, args, report.Summary.Objects, report.Summary.StatefulSets, report.Summary.Errors, cmp.Or(strings.Join(found, ", "), "nothing"), code)
}
