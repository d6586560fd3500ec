package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLean starts both builds as a user would, and expects the lean one to say what the complete one says.
func TestLean(t *testing.T) {
	programs := t.TempDir()
	lean, whole := filepath.Join(programs, "mooring"), filepath.Join(programs, "mooring-cluster")
	build(t, "-o", lean, "-tags=lean", ".")
	build(t, "-o", whole, ".")
	input := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(input, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const statefulSet = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: REPLICAS
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: db, image: db}]
`
	write("plain/db.yaml", strings.Replace(statefulSet, "REPLICAS", "2", 1))
	write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 1.0.0\n")
	write("chart/templates/db.yaml", strings.Replace(statefulSet, "REPLICAS", `{{ required "how many?" .Values.replicas }}`, 1))
	write("kustomized/kustomization.yaml", "resources: [../plain/db.yaml]\n")
	write("kustomized/overlay/kustomization.yaml", "resources: [nothing.yaml]\n")
	write("kubeconfig", "")

	run := func(program, stdin string, args ...string) (output string, code int) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir, cmd.Stdin = input, strings.NewReader(stdin)
		cmd.Env = []string{"KUBECONFIG=" + filepath.Join(input, "kubeconfig"), "HOME=" + input}
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, tc := range []struct {
		name, args, stdin string
		code              int
		says              string
	}{
		{name: "files", args: "check plain", code: 1, says: "termination-grace"},
		{name: "a chart", args: "check chart --set=replicas=2", code: 1, says: "chart/templates/db.yaml"},
		{name: "a chart that cannot be rendered", args: "check chart", code: 2, says: "how many?"},
		{name: "a kustomization", args: "check kustomized", code: 2, says: "nothing.yaml"},
		{name: "a chart beside the standard input", args: "check - chart --set=replicas=2", stdin: strings.Replace(statefulSet, "REPLICAS", "3", 1), code: 1, says: "termination-grace"},
		{name: "a cluster that is not there", args: "check plain --context=nowhere", code: 2, says: `context "nowhere" does not exist`},
		{name: "the audit of a cluster that is not there", args: "audit --context=nowhere", code: 2, says: "nowhere"},
		{name: "a log from the standard input", args: "replay -", stdin: "no log\n", code: 2, says: "damaged"},
		{name: "all commands", args: "--help", says: "mooring [command]"},
		{name: "help on what is elsewhere", args: "help audit", says: "--all-contexts"},
		{name: "a flag for help on what is elsewhere", args: "replay --help", says: "--profile"},
		{name: "completion of what is elsewhere", args: "__complete audit --all", says: "--all-contexts"},
		{name: "completion of a command", args: "__complete re", says: "replay"},
		{name: "no such command", args: "adit", code: 2, says: "audit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := strings.Fields(tc.args)
			want, code := run(whole, tc.stdin, args...)
			if code != tc.code || !strings.Contains(want, tc.says) {
				t.Errorf("the complete build ends with %d and says\n%s", code, want)
			}
			if out, leanCode := run(lean, tc.stdin, args...); out != want || leanCode != code {
				t.Errorf("the lean build ends with %d and says\n%s\nthe complete one ends with %d and says\n%s", leanCode, out, code, want)
			}
		})
	}

	alone := filepath.Join(t.TempDir(), "mooring")
	if err := os.Rename(lean, alone); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, args string
		code       int
		says       string
	}{
		{"alone with files", "check plain", 1, "termination-grace"},
		{"alone with a chart", "check chart", 2, "chart/Chart.yaml: cannot be rendered: this needs the program mooring-cluster"},
		{"alone with a cluster", "audit", 2, "this needs the program mooring-cluster"},
		{"alone with a question about what is elsewhere", "help audit", 0, "this needs the program mooring-cluster"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if out, code := run(alone, "", strings.Fields(tc.args)...); code != tc.code || !strings.Contains(out, tc.says) {
				t.Errorf("it ends with %d and says\n%s", code, out)
			}
		})
	}
}

func build(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestLeanIsLean holds what the lean build is there for: it starts without what takes long to initialise itself.
func TestLeanIsLean(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-tags=lean", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for module := range strings.Lines(string(out)) {
		for _, heavy := range []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "helm.sh/", "sigs.k8s.io/kustomize/api", "github.com/prometheus/", "github.com/google/cel-go"} {
			if strings.HasPrefix(module, heavy) {
				t.Errorf("it needs %s", module)
			}
		}
	}
}
