package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repositoryCase is a repository with the expected output.
type repositoryCase struct {
	// name is the file or folder in MOORING_CASES with the same content, if any.
	name string
	// files are the committed files; change is written over them afterwards.
	files, change map[string]string
	args          string
	code          int
	says, silent  string
}

// serves is a Service with a cluster IP.
func serves(name, ports string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {selector: {app: " + name + "}, ports: [" + ports + "]}\n"
}

func claims(name, class string) string {
	return "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: " + name + "}\nspec: {accessModes: [ReadWriteOnce], storageClassName: " + class + ", volumeName: " + name + ", resources: {requests: {storage: 1Gi}}}\n"
}

// database is a StatefulSet without findings, except for objects missing from its files.
func database(name, replicas string) string {
	return strings.Replace(killed(name, replicas), "Seconds: 0", "Seconds: 30", 1)
}

var repositoryCases = []repositoryCase{
	{
		name: "chart-in-cwd", args: "check", code: 1, says: "headless-service/not-headless",
		files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 0.1.0\n", "templates/sts.yaml": database("db", "1") + "---\n" + serves("db", "{port: 5432}")},
	},
	{
		name: "ignored-folder", args: "check rendered", code: 1, says: "headless-service/not-headless",
		files: map[string]string{".gitignore": "rendered/\n", "rendered/out.yaml": database("db", "1") + "---\n" + serves("db", "{port: 5432}")},
	},
	{
		name: "overlay-on-overlay", args: "check . --base=HEAD --profile=restricted", code: 1, says: "deny scale-down/to-zero overlays/prod/patch.yaml:4:8", silent: "delete-protection/removed",
		files: map[string]string{
			"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": database("db", "3") + "  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]\n",
			"overlays/prod/kustomization.yaml": "namespace: prod\nresources: [../../base]\n",
		},
		change: map[string]string{
			"overlays/prod/kustomization.yaml": "namespace: prod\nresources: [../../base]\npatches: [{path: patch.yaml}]\n",
			"overlays/prod/patch.yaml":         "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 0}\n",
			"overlays/dr/kustomization.yaml":   "namespace: dr\nresources: [../prod]\n",
		},
	},
	{
		name: "empty-kustomization", args: "check .", code: 2, says: "1 denied, 0 warned, 0 audited: 2 objects judged, 1 StatefulSet among them; 1 input could not be judged",
		files: map[string]string{"overlay/kustomization.yaml": "# nothing here yet\n", "list.yaml": database("db", "1") + "---\n" + serves("db", "{port: 5432}")},
	},
	{
		name: "fix-port-remap.yaml", args: "fix fix-port-remap.yaml", says: "0 changes made in 0 files, 1 left to do by hand",
		files: map[string]string{"fix-port-remap.yaml": database("db", "1") + "---\n" + serves("db", "{port: 30070, targetPort: 3000}")},
	},
	{
		name: "fix-shared-service.yaml", args: "fix fix-shared-service.yaml", says: "0 changes made in 0 files, 2 left to do by hand",
		files: map[string]string{"fix-shared-service.yaml": strings.Replace(database("a", "1"), "serviceName: a", "serviceName: both", 1) + "---\n" + strings.Replace(database("b", "1"), "serviceName: b", "serviceName: both", 1)},
	},
	{
		name: "chart-namespaces", args: "check .", code: 1, says: "headless-service/not-headless", silent: "missing",
		files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 0.1.0\n", "templates/sts.yaml": strings.Replace(database("c", "1"), "{name: c}", "{name: c, namespace: {{ .Release.Namespace }}}", 1) + "---\n" + serves("c", "{port: 5432}")},
	},
	{
		name: "remote-schema", args: "check .", code: 2, says: ", and Mooring downloads nothing",
		files: map[string]string{
			"Chart.yaml": "apiVersion: v2\nname: c\nversion: 0.1.0\n", "values.yaml": "a: 1\n", "templates/sts.yaml": database("c", "1"),
			"values.schema.json": `{"properties": {"a": {"$ref": "http://127.0.0.1:18765/schema.json"}}}`,
		},
	},
	{
		name: "static-volume.yaml", args: "check static-volume.yaml --complete --profile=restricted", says: "0 denied, 0 warned",
		files: map[string]string{"static-volume.yaml": "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: dags}\nspec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, storageClassName: static, csi: {driver: d.example.com, volumeHandle: x}}\n---\n" + claims("dags", "static")},
	},
	{
		name: "partial-statefulset.yaml", args: "check partial-statefulset.yaml", says: "1 StatefulSet skipped as incomplete",
		files: map[string]string{"partial-statefulset.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 3}\nstatus: {readyReplicas: 3}\n"},
	},
	{
		name: "immutable-label", args: "check . --base=HEAD --profile=restricted", code: 1, says: "helm.sh/chart",
		files: map[string]string{
			"Chart.yaml":       "apiVersion: v2\nname: c\nversion: 0.1.0\n",
			"templates/s.yaml": database("db", "1") + "  volumeClaimTemplates: [{metadata: {name: data, labels: {helm.sh/chart: '{{ .Chart.Name }}-{{ .Chart.Version }}'}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]\n",
		},
		change: map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 0.2.0\n"},
	},
	{
		name: "api-version-typo.yaml", args: "check api-version-typo.yaml", code: 2, says: "Kubernetes has no StatefulSet of app/v1. Fix: write kind: StatefulSet and apiVersion: apps/v1",
		files: map[string]string{"api-version-typo.yaml": "apiVersion: app/v1\nkind: StatefulSet\nmetadata: {name: db}\n---\napiVersion: apps/v1\nkind: Statefulset\nmetadata: {name: db}\n"},
	},
	{
		name: "shared-claim-statefulset.yaml", args: "check shared-claim-statefulset.yaml --only=shared-claim", says: "3 replicas of StatefulSet",
		files: map[string]string{"shared-claim-statefulset.yaml": database("s", "3") + "      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n---\n" + claims("data", "standard")},
	},
}

// TestRepositories plays small versions of problems in public repositories.
func TestRepositories(t *testing.T) {
	for _, tc := range repositoryCases {
		t.Run(tc.name, func(t *testing.T) {
			mooring(t, tc.files, "", "version")
			tc.play(t)
		})
	}
}

// TestGivenRepositories plays the originals in MOORING_CASES.
func TestGivenRepositories(t *testing.T) {
	given := os.Getenv("MOORING_CASES")
	if _, err := os.Stat(given); given == "" || err != nil {
		t.Skip("MOORING_CASES names no folder of cases")
	}
	given, err := filepath.Abs(given)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range repositoryCases {
		t.Run(tc.name, func(t *testing.T) {
			mooring(t, nil, "", "version")
			tc.change = maps.Clone(tc.change)
			info, err := os.Stat(filepath.Join(given, tc.name))
			switch {
			case err != nil:
				t.Skip(err)
			case info.IsDir():
				err = os.CopyFS(".", os.DirFS(filepath.Join(given, tc.name)))
				if tc.name == "ignored-folder" {
					err = os.CopyFS("rendered", os.DirFS(filepath.Join(given, tc.name)))
					tc.change = map[string]string{".gitignore": "rendered/\n"}
				}
			default:
				err = os.CopyFS(".", os.DirFS(given))
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.name == "overlay-on-overlay" {
				// The files have the changed state. Before, there was no dr, and nothing was patched.
				for _, name := range []string{"overlays/prod/patch.yaml", "overlays/dr/kustomization.yaml", "overlays/prod/kustomization.yaml"} {
					text, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					tc.change[name] = string(text)
				}
				if err := os.RemoveAll("overlays/dr"); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile("overlays/prod/kustomization.yaml", []byte("namespace: prod\nresources: [../../base]\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tc.play(t)
		})
	}
}

// play commits the files of this folder, changes them, and runs the program.
func (tc repositoryCase) play(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "before"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	for name, text := range tc.change {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut := here("", strings.Fields(tc.args)...)
	if all := out + errOut; code != tc.code || !strings.Contains(all, tc.says) || tc.silent != "" && strings.Contains(all, tc.silent) {
		t.Errorf("exit code %d, output:\n%s", code, all)
	}
}
