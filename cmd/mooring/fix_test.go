package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

// TestFix checks the exit code, which CI jobs use, and the output.
func TestFix(t *testing.T) {
	const (
		service = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec:\n  selector: {app: db}\n"
		set     = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: example/db, readinessProbe: {tcpSocket: {port: 1}}}]}
`
		headless = service + "  clusterIP: None\n"
	)
	for _, tc := range []struct {
		name        string
		files       map[string]string
		args        []string
		found       bool
		err         string
		out, errOut string
	}{
		{name: "nothing to fix", files: map[string]string{"a.yaml": headless + "---\n" + set}, out: "0 changes made in 0 files, 0 left to do by hand.\n"},
		{
			name: "nothing to fix, with --diff", files: map[string]string{"a.yaml": headless + "---\n" + set}, args: []string{"--diff"},
			errOut: "0 changes would be made in 0 files, 0 left to do by hand.\n",
		},
		{
			name: "one change, with --diff", files: map[string]string{"a.yaml": service, "b.yaml": set}, args: []string{"--diff"},
			found: true, err: "1 file would change",
			out:    "--- a/a.yaml\n+++ b/a.yaml\n@@ -2,4 +2,5 @@\n kind: Service\n metadata: {name: db}\n spec:\n+  clusterIP: None\n   selector: {app: db}\n",
			errOut: "1 change would be made in 1 file, 0 left to do by hand.\n",
		},
		{
			name: "one change", files: map[string]string{"a.yaml": service, "b.yaml": set},
			out: "fixed  a.yaml:4:1: Service db: spec.clusterIP: None (headless-service)\n1 change made in 1 file, 0 left to do by hand.\n",
		},
		{
			name: "one change, and a file that cannot be read", files: map[string]string{"a.yaml": service + "---\n" + set, "b.yaml": "kind: Service\n"},
			err:    "not everything could be fixed: 1 error",
			out:    "fixed  a.yaml:4:1: Service db: spec.clusterIP: None (headless-service)\n1 change made in 1 file, 0 left to do by hand.\n",
			errOut: "mooring: b.yaml:1:1: the Service has no apiVersion\n",
		},
		{
			name: "a finding that needs a decision", files: map[string]string{"a.yaml": headless + "---\n" + strings.Replace(set, ", readinessProbe: {tcpSocket: {port: 1}}", "", 1)},
			out: "0 changes made in 0 files, 0 left to do by hand. Left for you to decide: 1 finding; run mooring check.\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, text := range tc.files {
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			cmd := newFix()
			var out, errOut bytes.Buffer
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetOut(&out)
			cmd.SetErr(&errOut)
			cmd.SetArgs(tc.args)
			err := cmd.Execute()
			if found := errors.As(err, &foundError{}); found != tc.found {
				t.Errorf("found something: %v, want %v", found, tc.found)
			}
			if (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if out.String() != tc.out || errOut.String() != tc.errOut {
				t.Errorf("printed\n%s\nand as errors\n%s\nwant\n%s\nand\n%s", &out, &errOut, tc.out, tc.errOut)
			}
		})
	}
}
