package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mooring runs the program with these arguments in a folder with these files.
func mooring(t *testing.T, files map[string]string, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	folder := t.TempDir()
	t.Chdir(folder)
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", folder)
	t.Setenv("KUBECONFIG", filepath.Join(folder, "kubeconfig"))
	return here(stdin, args...)
}

// here runs the program in the test's folder.
func here(stdin string, args ...string) (code int, out, errOut string) {
	root := newRoot()
	var stdout, stderr bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	code = run(root)
	return code, stdout.String(), stderr.String()
}

// killed is a StatefulSet that the baseline profile refuses.
func killed(name, replicas string) string {
	return strings.NewReplacer("NAME", name, "REPLICAS", replicas).Replace(`apiVersion: apps/v1
kind: StatefulSet
metadata: {name: NAME}
spec:
  serviceName: NAME
  replicas: REPLICAS
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: db, image: db, readinessProbe: {tcpSocket: {port: 1}}}]
`)
}

// TestCheck checks the exit code and the output.
func TestCheck(t *testing.T) {
	files := map[string]string{
		"plain/db.yaml":                     killed("db", "2"),
		"chart/Chart.yaml":                  "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
		"chart/templates/db.yaml":           killed("db", `{{ required "how many?" .Values.replicas }}`),
		"kustomized/kustomization.yaml":     "resources: [../plain/db.yaml]\n",
		"broken/overlay/kustomization.yaml": "resources: [nothing.yaml]\n",
		"kubeconfig":                        "",
	}
	for _, tc := range []struct {
		name, args, stdin string
		code              int
		says              string
	}{
		{name: "files", args: "check plain", code: 1, says: "termination-grace"},
		{name: "a chart", args: "check chart --set=replicas=2", code: 1, says: "chart/templates/db.yaml"},
		{name: "a chart that cannot be rendered", args: "check chart", code: 2, says: "how many?"},
		{name: "a kustomization", args: "check broken", code: 2, says: "nothing.yaml"},
		{name: "a chart and the standard input", args: "check - chart --set=replicas=2", stdin: killed("other", "3"), code: 1, says: "StatefulSet other"},
		{name: "an unknown context", args: "check plain --context=nowhere", code: 2, says: `context "nowhere" does not exist`},
		{name: "an audit with an unknown context", args: "audit --context=nowhere", code: 2, says: "nowhere"},
		{name: "a log from the standard input", args: "replay -", stdin: "no log\n", code: 2, says: "damaged"},
		{name: "an unknown command", args: "adit", code: 2, says: "audit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errOut := mooring(t, files, tc.stdin, strings.Fields(tc.args)...)
			if all := out + errOut; code != tc.code || !strings.Contains(all, tc.says) {
				t.Errorf("exit code %d, output:\n%s", code, all)
			}
		})
	}
}

// TestNothingPassesUnread checks that exit code 0 means that everything named was judged.
func TestNothingPassesUnread(t *testing.T) {
	chart := map[string]string{"Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n", "templates/db.yaml": killed("db", "2")}
	schema := map[string]string{"values.schema.json": `{"properties": {"a": {"$ref": "http://127.0.0.1:9/a.json"}}}`, "values.yaml": "a: 1\n"}
	for name, text := range chart {
		schema[name] = text
	}
	for _, tc := range []struct {
		name, args, stdin string
		files             map[string]string
		code              int
		says              string
	}{
		{name: "a chart in the current folder", args: "check", files: chart, code: 1, says: "1 StatefulSet among them"},
		{name: "a chart template that is named", args: "check templates/db.yaml", files: chart, code: 2, says: "it is a template of the chart ."},
		{name: "a remote schema", args: "check .", files: schema, code: 2, says: "http://127.0.0.1:9/a.json, and Mooring downloads nothing"},
		{name: "an empty standard input", args: "check -", code: 2, says: "nothing to judge"},
		{name: "a folder without objects", args: "check a b", files: map[string]string{"a/x.yaml": killed("db", "2"), "b/values.yaml": "a: 1\n"}, code: 2, says: "b: nothing to judge"},
		{name: "a folder without objects, with --allow-empty", args: "check a --allow-empty", files: map[string]string{"a/values.yaml": "a: 1\n"}, says: "0 objects judged"},
		{name: "an error in SARIF", args: "check a -o sarif", files: map[string]string{"a/values.yaml": "a: 1\n"}, code: 2, says: "toolExecutionNotifications"},
		{
			name: "a folder that git ignores", args: "check ./out/", code: 1, says: "1 StatefulSet among them",
			files: map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/objects/x": "", ".git/refs/x": "", ".gitignore": "out/\n", "out/db.yaml": killed("db", "2")},
		},
		{name: "another encoding", args: "check a.yaml", files: map[string]string{"a.yaml": "\xff\xfea\x00"}, code: 2, says: "it is UTF-16LE, and Kubernetes reads UTF-8"},
		{name: "an unknown API group", args: "check .", files: map[string]string{"a.yaml": strings.Replace(killed("db", "2"), "apps/v1", "app/v1", 1)}, code: 2, says: "Kubernetes has no StatefulSet of app/v1"},
		{name: "an unknown kind", args: "check .", files: map[string]string{"a.yaml": strings.Replace(killed("db", "2"), "StatefulSet", "StatefullSet", 1)}, code: 2, says: "Kubernetes has no StatefullSet of apps/v1"},
		{name: "kind StatefulSet of another API group", args: "check .", files: map[string]string{"a.yaml": strings.Replace(killed("db", "2"), "apps/v1", "db.example.com/v1", 1)}, says: "0 StatefulSets"},
		{name: "an empty kustomization", args: "check .", files: map[string]string{"k/kustomization.yaml": "# soon\n", "db.yaml": killed("db", "2")}, code: 2, says: "kustomization.yaml is empty"},
		{name: "a file next to a kustomization", args: "check .", files: map[string]string{"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": killed("a", "1"), "b.yaml": killed("b", "1")}, code: 1, says: "2 StatefulSets among them"},
		{name: "an excluded folder", args: "check . --exclude=old/**", files: map[string]string{"old/a.yaml": "kind: StatefulSet\n", "b.yaml": killed("b", "1")}, code: 1, says: "1 StatefulSet among them"},
		{name: "an excluded chart that cannot be rendered, and a kustomization", args: "check . --exclude=legacy --exclude=**/old-*", code: 1, says: "1 StatefulSet among them.", files: map[string]string{
			"legacy/c/Chart.yaml": "name: [\n", "deploy/old-k/kustomization.yaml": "resources: [nothing.yaml]\n", "deploy/a.yaml": killed("a", "1"),
		}},
		{name: "part of a StatefulSet", args: "check .", files: map[string]string{"a.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nstatus: {replicas: 1}\n"}, says: "1 StatefulSet skipped as incomplete"},
		{name: "the ci values of a chart", args: "check c", code: 1, says: "in 2 renderings: c with ci/a-values.yaml and c with ci/b-values.yaml", files: map[string]string{
			"c/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n", "c/templates/db.yaml": killed("db", "{{ .Values.n }}"), "c/ci/a-values.yaml": "n: 1\n", "c/ci/b-values.yaml": "n: 1\n",
		}},
		{name: "the patch that sets a field", args: "check o", code: 1, says: "termination-grace/zero o/patch.yaml:5", files: map[string]string{
			"b/kustomization.yaml": "resources: [db.yaml]\n", "b/db.yaml": strings.Replace(killed("db", "1"), "Seconds: 0", "Seconds: 30", 1),
			"o/kustomization.yaml": "resources: [../b]\npatches: [{path: patch.yaml}]\n",
			"o/patch.yaml":         "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  template: {spec: {terminationGracePeriodSeconds: 0}}\n",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errOut := mooring(t, tc.files, tc.stdin, strings.Fields(tc.args)...)
			if all := out + errOut; code != tc.code || !strings.Contains(all, tc.says) {
				t.Errorf("exit code %d, output:\n%s", code, all)
			}
		})
	}
}

// TestCheckLetsBe checks which findings are not listed, and do not fail the check.
func TestCheckLetsBe(t *testing.T) {
	ignoring := func(value string) string {
		return strings.Replace(killed("db", "2"), "{name: db}", `{name: db, annotations: {mooring.dev/ignore: "`+value+`"}}`, 1)
	}
	known := func() string {
		t.Helper()
		code, _, errOut := mooring(t, map[string]string{"a.yaml": killed("db", "2")}, "", "check", "a.yaml", "--write-baseline=known.json")
		if code != 0 || !strings.Contains(errOut, "written to known.json") {
			t.Fatalf("exit code %d, output: %s", code, errOut)
		}
		text, err := os.ReadFile("known.json")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}()
	const misspelled = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: db}\nspec:\n  maxUnavailabel: 1\n"
	for _, tc := range []struct {
		name, args, file string
		baseline         string
		code             int
		says, silent     string
	}{
		{name: "--only with another rule", args: "--only=spread", file: killed("db", "2"), says: "0 denied", silent: "termination-grace"},
		{name: "--only with the check", args: "--only=termination-grace/zero", file: killed("db", "2"), code: 1, says: "termination-grace/zero", silent: "headless-service"},
		{name: "--skip with the rule", args: "--skip=spread,termination-grace", file: killed("db", "2"), says: "0 denied", silent: "termination-grace"},
		{name: "an unknown rule", args: "--only=termination-grac", file: killed("db", "2"), code: 2, says: `--only: unknown rule "termination-grac"; did you mean termination-grace?`},
		{name: "an unknown check", args: "--skip=spread/together,termination-grace/none", file: killed("db", "2"), code: 2, says: `--skip: the rule termination-grace has no check "none"; it has`},
		{name: "the baseline has all findings", args: "--baseline=known.json", file: "\n\n" + killed("db", "2"), baseline: known, says: "findings of the baseline not listed, 0 gone", silent: "termination-grace"},
		{name: "the baseline lacks an object", args: "--baseline=known.json", file: killed("db", "2") + "---\n" + killed("other", "2"), baseline: known, code: 1, says: "StatefulSet other", silent: "StatefulSet db"},
		{name: "a finding of the baseline is gone", args: "--baseline=known.json", file: strings.Replace(killed("db", "2"), "Seconds: 0", "Seconds: 30", 1), baseline: known, says: "1 gone"},
		{name: "a warning that has become a denial", args: "--baseline=known.json", file: killed("db", "2"), baseline: strings.ReplaceAll(known, `"Deny"`, `"Warn"`), code: 1, says: "deny termination-grace"},
		{name: "an invalid baseline", args: "--baseline=known.json", file: killed("db", "2"), baseline: "[]", code: 2, says: "--baseline: known.json: it is not a report"},
		{name: "a missing baseline", args: "--baseline=none.json", file: killed("db", "2"), code: 2, says: "--baseline: open none.json"},
		{name: "ignored, with a reason", args: "--only=termination-grace", file: ignoring("termination-grace=it has no state; spread=one node"), says: "ignored termination-grace/zero a.yaml:11:7 (it has no state)"},
		{name: "one check ignored", args: "--only=termination-grace", file: ignoring("termination-grace/zero=it has no state"), says: "0 denied, 0 warned, 0 audited, 1 ignored"},
		{name: "another rule ignored", file: ignoring("spread=one node"), code: 1, says: "deny termination-grace/zero"},
		{name: "a misspelled field", args: "--profile=restricted --only=unknown-field", file: misspelled, code: 1, says: "deny unknown-field/unknown a.yaml:5:3"},
		{name: "a misspelled field, without the rule", args: "--profile=restricted --skip=unknown-field,readiness", file: misspelled, silent: "unknown-field"},
		{name: "a misspelled field that is ignored", args: "--profile=restricted --only=unknown-field", file: strings.Replace(misspelled, "{name: db}", "{name: db, annotations: {mooring.dev/ignore: unknown-field=for a fork}}", 1), says: "ignored unknown-field/unknown"},
		{name: "ignored, without a reason", file: ignoring("termination-grace"), code: 2, says: "a.yaml:3:22: annotation mooring.dev/ignore: termination-grace has no reason. Fix: write termination-grace=<why>"},
		{name: "ignored, with an unknown rule", file: ignoring("termination-grac=x"), code: 2, says: `annotation mooring.dev/ignore: unknown rule "termination-grac"; did you mean termination-grace?`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string]string{"a.yaml": tc.file}
			if tc.baseline != "" {
				files["known.json"] = tc.baseline
			}
			code, out, errOut := mooring(t, files, "", append([]string{"check", "a.yaml"}, strings.Fields(tc.args)...)...)
			if all := out + errOut; code != tc.code || !strings.Contains(all, tc.says) || tc.silent != "" && strings.Contains(all, tc.silent) {
				t.Errorf("exit code %d, output:\n%s", code, all)
			}
		})
	}
}

// TestFixLeavesWhatNeedsADecision checks that fix neither drops a port's translation nor adds a Service that fits only one of two
// StatefulSets.
func TestFixLeavesWhatNeedsADecision(t *testing.T) {
	one, two := strings.Replace(killed("a", "1"), "serviceName: a", "serviceName: both", 1), strings.Replace(killed("b", "1"), "serviceName: b", "serviceName: both", 1)
	for _, tc := range []struct{ name, file, says string }{
		{"a translated port", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80, targetPort: 8080}]}\n---\n" + killed("a", "1"), "its port 80 has the targetPort 8080"},
		{"a Service of two StatefulSets", one + "---\n" + two, "Service both is missing, and StatefulSet b names it too"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errOut := mooring(t, map[string]string{"a.yaml": tc.file}, "", "fix", "a.yaml")
			if code != 0 || !strings.Contains(out, tc.says) || !strings.Contains(out, "0 changes made") {
				t.Errorf("exit code %d, output:\n%s%s", code, out, errOut)
			}
		})
	}
}

// TestPlacesBelowTheRepositorysRoot checks that formats for pull requests have paths from the repository's root, wherever the
// program runs and however the files are named.
func TestPlacesBelowTheRepositorysRoot(t *testing.T) {
	files := map[string]string{
		".git/HEAD": "ref: refs/heads/main\n", ".git/objects/x": "", ".git/refs/x": "",
		"deploy/sets/db.yaml": killed("db", "1"), "deploy/sets/broken.yaml": "kind: StatefulSet\nmetadata: {\n", "deploy/other/x.yaml": "",
	}
	mooring(t, files, "", "version")
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ in, name string }{
		{".", "deploy"}, {"deploy", "sets"}, {"deploy/other", "../sets"}, {"deploy/sets", "."}, {"deploy", filepath.Join(folder, "deploy/sets")},
	} {
		t.Run(tc.in+" "+tc.name, func(t *testing.T) {
			t.Chdir(filepath.Join(folder, tc.in))
			for format, want := range map[string][]string{
				"github": {"file=deploy/sets/db.yaml,line=11,col=7", "file=deploy/sets/broken.yaml,line="},
				"sarif":  {`"uri": "deploy/sets/db.yaml"`, `"uri": "deploy/sets/broken.yaml"`, `"uriBaseId": "%SRCROOT%"`},
			} {
				_, out, errOut := here("", "check", tc.name, "-o", format)
				for _, w := range want {
					if !strings.Contains(out, w) {
						t.Errorf("%s has no %s:\n%s%s", format, w, out, errOut)
					}
				}
			}
		})
	}
}
