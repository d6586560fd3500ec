package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mooring runs the program with these arguments in a folder of these files.
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

// TestCheck says what the command ends with and prints.
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
		{name: "a chart beside the standard input", args: "check - chart --set=replicas=2", stdin: killed("other", "3"), code: 1, says: "StatefulSet other"},
		{name: "a cluster that is not there", args: "check plain --context=nowhere", code: 2, says: `context "nowhere" does not exist`},
		{name: "the audit of a cluster that is not there", args: "audit --context=nowhere", code: 2, says: "nowhere"},
		{name: "a log from the standard input", args: "replay -", stdin: "no log\n", code: 2, says: "damaged"},
		{name: "no such command", args: "adit", code: 2, says: "audit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errOut := mooring(t, files, tc.stdin, strings.Fields(tc.args)...)
			if all := out + errOut; code != tc.code || !strings.Contains(all, tc.says) {
				t.Errorf("it ends with %d and says\n%s", code, all)
			}
		})
	}
}
