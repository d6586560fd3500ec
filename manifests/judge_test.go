package manifests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/report"
)

// statefulSet returns a StatefulSet with these additional lines in its spec.
func statefulSet(name, namespace string, spec ...string) string {
	text := fmt.Sprintf(`apiVersion: apps/v1
kind: StatefulSet
metadata: {name: %[1]s%[2]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec: {containers: [{name: db, image: db:1, readinessProbe: {tcpSocket: {port: 1}}}]}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
`, name, andNamespace(namespace))
	for _, line := range spec {
		text += "  " + line + "\n"
	}
	return text
}

func service(name, namespace, clusterIP string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %[1]s%[2]s}\nspec: {clusterIP: %[3]s, selector: {app: %[1]s}}\n",
		name, andNamespace(namespace), clusterIP)
}

func andNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return ", namespace: " + namespace
}

func budget(name, namespace string) string {
	return fmt.Sprintf("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: %[1]s%[2]s}\nspec: {maxUnavailable: 1, selector: {matchLabels: {app: %[1]s}}}\n",
		name, andNamespace(namespace))
}

// join makes one file of several documents.
func join(documents ...string) string { return strings.Join(documents, "---\n") }

// judge returns the findings of a set, one line each, sorted.
func judge(t *testing.T, set *Set, j Judgement) []string {
	t.Helper()
	var err error
	if j.Policies, err = policies.Compile(rules.All, nil, "baseline"); err != nil {
		t.Fatal(err)
	}
	r := set.Judge(j)
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

func TestJudge(t *testing.T) {
	db := statefulSet("db", "", "serviceName: db")
	three := statefulSet("db", "", "serviceName: db", "replicas: 3")
	advanced := strings.NewReplacer("apps/v1", "apps.kruise.io/v1beta1", "replicas: 3", "replicas: 3\n  reserveOrdinals: [1]")
	for _, tc := range []struct {
		name      string
		files     map[string]string
		judgement Judgement
		want      []string
	}{
		{name: "its Service is in the same file", files: map[string]string{"a.yaml": join(db, service("db", "", "None"))}},
		{name: "its Service is in another file of the folder", files: map[string]string{"a.yaml": db, "b.yaml": service("db", "", "None")}},
		{name: "its Service is in another folder", files: map[string]string{"sets/a.yaml": db, "services/b.yaml": service("db", "", "None")}},
		{
			name: "its Service is missing", files: map[string]string{"a.yaml": db},
			want: []string{"a.yaml:10 StatefulSet db headless-service/missing Warn"},
		},
		{
			name: "its Service is missing, with --complete", files: map[string]string{"a.yaml": db}, judgement: Judgement{Complete: true},
			want: []string{
				"a.yaml:10 StatefulSet db headless-service/missing Deny",
				"a.yaml:9 StatefulSet db claim-template/no-class Warn",
			},
		},
		{
			name: "a Service with a cluster IP", files: map[string]string{"a.yaml": join(db, service("db", "", "10.0.0.1"))},
			want: []string{"a.yaml:10 StatefulSet db headless-service/not-headless Deny"},
		},
		{
			name:  "a Service of another namespace",
			files: map[string]string{"a.yaml": join(statefulSet("db", "shop", "serviceName: db"), service("db", "web", "None"))},
			want:  []string{"a.yaml:10 StatefulSet shop/db headless-service/missing Warn"},
		},
		{
			name:      "objects without a namespace, with -n",
			files:     map[string]string{"a.yaml": join(statefulSet("db", "shop", "serviceName: db"), service("db", "", "None"))},
			judgement: Judgement{Namespace: "shop"},
		},
		{
			name: "two environments do not see each other",
			files: map[string]string{
				"prod/sts.yaml": three, "prod/svc.yaml": service("db", "", "10.0.0.1"),
				"test/sts.yaml": three, "test/svc.yaml": service("db", "", "None"), "test/pdb.yaml": budget("db", ""),
			},
			want: []string{
				"prod/sts.yaml:10 StatefulSet db headless-service/not-headless Deny",
				"prod/sts.yaml:11 StatefulSet db disruption-budget/none Warn",
			},
		},
		{
			name: "two environments in one folder, and what they share",
			files: map[string]string{
				"common.yaml": service("db", "", "None"), "prod.yaml": three, "test.yaml": join(three, budget("db", "")),
			},
			want: []string{"prod.yaml:11 StatefulSet db disruption-budget/none Warn"},
		},
		{
			name: "two environments, judged together",
			files: map[string]string{
				"common.yaml": service("db", "", "None"), "prod.yaml": three, "test.yaml": join(three, budget("db", "")),
			},
			judgement: Judgement{Together: true},
		},
		{
			name: "the labels of a namespace in another folder",
			files: map[string]string{
				"namespaces.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {mooring.dev/profile: \"off\"}}\n",
				"shop/a.yaml":     statefulSet("db", "shop"),
			},
		},
		{
			name: "an autoscaler of an older version",
			files: map[string]string{"a.yaml": join(three, service("db", "", "None"), budget("db", ""),
				"apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: db}\nspec:\n  scaleTargetRef: {kind: StatefulSet, name: db}\n")},
			want: []string{"a.yaml:26 HorizontalPodAutoscaler db autoscaler-floor/below Warn"},
		},
		{
			name: "an Advanced StatefulSet", files: map[string]string{"a.yaml": join(advanced.Replace(three), service("db", "", "10.0.0.1"))},
			want: []string{
				"a.yaml:10 StatefulSet db headless-service/not-headless Deny",
				"a.yaml:11 StatefulSet db disruption-budget/none Warn",
			},
		},
		{
			name: "an Advanced StatefulSet with a field of another type", files: map[string]string{"a.yaml": "apiVersion: apps.kruise.io/v1beta1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: many}\n"},
			want: []string{"a.yaml:4:8: the StatefulSet cannot be read: json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of type int32"},
		},
		{
			name: "kind StatefulSet of another API group", files: map[string]string{"a.yaml": "apiVersion: db.example.com/v1\nkind: StatefulSet\nmetadata: {name: db}\n"},
		},
		{
			name: "a bypass by an unknown user",
			files: map[string]string{"a.yaml": join(service("db", "", "10.0.0.1"), strings.Replace(db, "{name: db}",
				"{name: db, annotations: {mooring.dev/bypass: headless-service, mooring.dev/bypass-reason: clients}}", 1))},
			want: []string{"a.yaml:15 StatefulSet db headless-service/not-headless Warn"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, judge(t, load(t, tc.files), tc.judgement)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestBase(t *testing.T) {
	ordinary := []string{"serviceName: db", "replicas: 3"}
	whole := func(spec ...string) string {
		return join(statefulSet("db", "", spec...), service("db", "", "None"), budget("db", ""))
	}
	hpa := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: db}\nspec: {scaleTargetRef: {kind: StatefulSet, name: db}, minReplicas: 2}\n"
	keda := func(kind string) string {
		return "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: " + strings.ToLower(kind) + "}\nspec: {scaleTargetRef: {kind: " + kind + ", name: db}, triggers: []}\n"
	}
	advanced := func(text string) string { return strings.ReplaceAll(text, "apps/v1", "apps.kruise.io/v1beta1") }
	for _, tc := range []struct {
		name       string
		base, then map[string]string
		want       []string
	}{
		{name: "nothing changes", base: map[string]string{"a.yaml": whole(ordinary...)}, then: map[string]string{"a.yaml": whole(ordinary...)}},
		{name: "a file moves", base: map[string]string{"a.yaml": whole(ordinary...)}, then: map[string]string{"b/c.yaml": whole(ordinary...)}},
		{
			name: "a scale-down to zero", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": whole("serviceName: db", "replicas: 0")},
			want: []string{"a.yaml:11 StatefulSet db scale-down/to-zero Deny"},
		},
		{
			name: "an Advanced StatefulSet is scaled to zero", base: map[string]string{"a.yaml": advanced(whole(ordinary...))},
			then: map[string]string{"a.yaml": advanced(whole("serviceName: db", "replicas: 0"))},
			want: []string{"a.yaml:11 StatefulSet db scale-down/to-zero Deny"},
		},
		{
			name: "an Advanced StatefulSet with reserved ordinals is scaled to zero", base: map[string]string{"a.yaml": advanced(whole("serviceName: db", "replicas: 3", "reserveOrdinals: [1]"))},
			then: map[string]string{"a.yaml": advanced(whole("serviceName: db", "replicas: 0"))},
			want: []string{"a.yaml:11 StatefulSet db scale-down/to-zero Warn"},
		},
		{
			name: "the field replicas is removed", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": whole("serviceName: db")},
			want: []string{"a.yaml:4 StatefulSet db scale-down/quorum Warn"},
		},
		{
			name: "the field replicas is removed, and an autoscaler sets it", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": join(whole("serviceName: db"), hpa)},
		},
		{
			name: "the field replicas is removed, and KEDA sets it", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": join(whole("serviceName: db"), keda("StatefulSet"))},
		},
		{
			name: "the field replicas is removed, and KEDA sets that of a Deployment", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": join(whole("serviceName: db"), keda("Deployment"), strings.Replace(keda("StatefulSet"), "name: db}, t", "name: web}, t", 1))},
			want: []string{"a.yaml:4 StatefulSet db scale-down/quorum Warn"},
		},
		{
			name: "weaker retention and changed immutable fields", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": whole("serviceName: db", "replicas: 3", "podManagementPolicy: Parallel",
				"persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}")},
			want: []string{
				"a.yaml:12 StatefulSet db immutable-fields/changed Deny",
				"a.yaml:13 StatefulSet db retention-policy/weakening Warn",
			},
		},
		{
			name: "another start ordinal", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": whole("serviceName: db", "replicas: 3", "ordinals: {start: 3}")},
			want: []string{
				"a.yaml:11 StatefulSet db scale-down/quorum Warn",
				"a.yaml:12 StatefulSet db ordinal-shift/left-behind Warn",
			},
		},
		{
			name: "the governing Service is removed", base: map[string]string{"a.yaml": statefulSet("db", "", ordinary...) + "---\n" + budget("db", ""), "b.yaml": service("db", "", "None")},
			then: map[string]string{"a.yaml": statefulSet("db", "", ordinary...) + "---\n" + budget("db", "")},
			want: []string{
				"a.yaml:10 StatefulSet db headless-service/missing Warn",
				"b.yaml:3 Service db headless-service/in-use Warn",
			},
		},
		{
			name: "a StatefulSet is removed", base: map[string]string{"a.yaml": whole(ordinary...), "b.yaml": service("x", "", "None")},
			then: map[string]string{"b.yaml": service("x", "", "None")},
			want: []string{"a.yaml:3 StatefulSet db delete-protection/removed Warn"},
		},
		{
			name: "a StatefulSet is renamed", base: map[string]string{"a.yaml": whole(ordinary...)},
			then: map[string]string{"a.yaml": strings.Replace(whole(ordinary...), "{name: db}", "{name: database}", 1)},
			want: []string{"a.yaml:3 StatefulSet db delete-protection/renamed Deny"},
		},
		{
			name: "each environment is compared with its own base",
			base: map[string]string{"prod/a.yaml": whole(ordinary...), "test/a.yaml": whole("serviceName: db", "replicas: 0")},
			then: map[string]string{"prod/a.yaml": whole(ordinary...), "test/a.yaml": whole("serviceName: db", "replicas: 0")},
		},
		{
			name: "an old problem is a warning", base: map[string]string{"a.yaml": join(statefulSet("db", "", "serviceName: db"), service("db", "", "10.0.0.1"))},
			then: map[string]string{"a.yaml": join(statefulSet("db", "", "serviceName: db"), service("db", "", "10.0.0.1"))},
			want: []string{
				"a.yaml:10 StatefulSet db headless-service/not-headless Warn",
				"a.yaml:15 Service db headless-service/not-headless Warn",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "was"), tc.base)
			gitIn(t, filepath.Join(root, "was"), "init", "-q")
			gitIn(t, filepath.Join(root, "was"), "add", ".")
			gitIn(t, filepath.Join(root, "was"), "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "base")
			write(t, filepath.Join(root, "is"), tc.then)
			if err := os.Rename(filepath.Join(root, "was", ".git"), filepath.Join(root, "is", ".git")); err != nil {
				t.Fatal(err)
			}
			t.Chdir(filepath.Join(root, "is"))
			for _, from := range []string{"HEAD", filepath.Join(root, "was")} {
				now, base, err := Loader{}.LoadChange(from, ".")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, judge(t, now, Judgement{Base: base})); diff != "" {
					t.Errorf("compared with %s (-want +got)\n%s", from, diff)
				}
			}
			if _, _, err := (Loader{}).LoadChange("no-such-thing", "."); err == nil || !strings.Contains(err.Error(), `"no-such-thing" is neither a folder nor a git revision`) {
				t.Errorf("a base that is not there: %v", err)
			}
		})
	}
}

// TestLoadLeavesOutWhatGitIgnores also checks that nothing is left out without git.
func TestLoadLeavesOutWhatGitIgnores(t *testing.T) {
	files := map[string]string{"a.yaml": service("a", "", "None"), "out/b.yaml": service("b", "", "None"), ".gitignore": "out/\n"}
	if got := len(load(t, files).Documents()); got != 2 {
		t.Errorf("%d objects without git, want 2", got)
	}
	gitIn(t, ".", "init", "-q")
	if got := describe(Loader{}.Load(".")); !slices.Equal(got, []string{"a.yaml:1:1 Service a"}) {
		t.Errorf("with git: %q", got)
	}
	if got := describe(Loader{}.Load("out/b.yaml")); !slices.Equal(got, []string{"out/b.yaml:1:1 Service b"}) {
		t.Errorf("a file that is ignored and named: %q", got)
	}
}

func TestLoadReadsStandardInput(t *testing.T) {
	set := Loader{Stdin: strings.NewReader(service("a", "", "None"))}.Load(Stdin)
	if got := describe(set); !slices.Equal(got, []string{"stdin:1:1 Service a"}) {
		t.Errorf("%q", got)
	}
}

func TestLoadRendersChartsAndKustomizations(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"chart/Chart.yaml":                    "name: db\n",
		"chart/templates/a.yaml":              "kind: {{ broken as YAML }}\nmetadata:\n  replicas: {{ .Values.replicas }}\n",
		"chart/charts/sub/Chart.yaml":         "name: sub\n",
		"base/kustomization.yaml":             "resources: [a.yaml]\n",
		"base/a.yaml":                         service("a", "", "None"),
		"overlays/prod/kustomization.yaml":    "resources: [../../base]\n",
		"overlays/part/kustomization.yaml":    "kind: Component\n",
		"overlays/prod/patch.yaml":            "not: {an object\n",
		"plain/b.yaml":                        service("b", "", "None"),
		"chart/templates/tests/not-for-us.md": "#",
	})
	t.Chdir(root)
	// Folders are rendered concurrently.
	var lock sync.Mutex
	var rendered []string
	render := func(what string) Renderer {
		return func(folder string) ([]Rendered, error) {
			lock.Lock()
			defer lock.Unlock()
			rendered = append(rendered, what+" "+folder)
			slices.Sort(rendered)
			return []Rendered{{Source: "templates/a.yaml", Template: "db/templates/a.yaml", Data: []byte(statefulSet("db", "", "replicas: 3"))}}, nil
		}
	}
	chart := func(_ Release, folder string) ([]Rendered, error) { return render("chart")(folder) }
	set := Loader{Chart: chart, Kustomization: render("kustomization")}.Load(".")
	if diff := cmp.Diff([]string{"chart chart", "kustomization overlays/prod"}, rendered); diff != "" {
		t.Errorf("rendered (-want +got)\n%s", diff)
	}
	rendered = nil
	Loader{Chart: chart, Kustomization: render("kustomization")}.Load("chart/Chart.yaml", "overlays/prod/kustomization.yaml")
	if diff := cmp.Diff([]string{"chart chart", "kustomization overlays/prod"}, rendered); diff != "" {
		t.Errorf("rendered by the file that makes them what they are (-want +got)\n%s", diff)
	}
	i := slices.IndexFunc(set.Documents(), func(d *Document) bool { return d.File.Folder == "chart" })
	want := report.Position{File: "chart/templates/a.yaml", Line: 3, Column: 3, Template: "db/templates/a.yaml"}
	if got := set.Documents()[i].Position("spec.replicas"); got != want {
		t.Errorf("%+v, want %+v: the one line of the template that has the key", got, want)
	}
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

func gitIn(t *testing.T, folder string, args ...string) {
	t.Helper()
	if out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// TestUnknownFields checks which unknown fields are found, in any style, and where.
func TestUnknownFields(t *testing.T) {
	whole := func(spec ...string) string {
		return join(statefulSet("db", "", append(spec, "serviceName: db")...), service("db", "", "None"))
	}
	const unread = "template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db:1, readinessProbe: {tcpSocket: {port: 1}}, livenessProbe: {tcpSockt: {port: 1}}}]}}"
	for _, tc := range []struct {
		name, file string
		want       []string
	}{
		{"none", whole(), nil},
		{"in the wrong case", whole("persistentVolumeClaimRetentionpolicy: {whenDeleted: Retain}"), []string{"a.yaml:10 StatefulSet db unknown-field/unknown Warn"}},
		{"in an item of a List", "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(budget("db", ""), "\n", "\n  ") + "status: {disruptionAllowed: 1}\n",
			[]string{"a.yaml:8 PodDisruptionBudget db unknown-field/unknown Warn"}},
		{"in an older API version that has the field", "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: db}\nspec: {maxReplicas: 3, targetCPUUtilizationPercentage: 80, scaleTargetRef: {kind: Deployment, name: StatefulSet}}\n", nil},
		{"below a field that no rule reads", whole(unread), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, judge(t, load(t, map[string]string{"a.yaml": tc.file}), Judgement{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
