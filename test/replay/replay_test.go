// Package replay plays the demo twice on a real control plane, and checks what it leaves: the audit log for `mooring replay`, and
// the metrics for the dashboard and the alerts.
package replay

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

func TestDemo(t *testing.T) {
	policy, err := filepath.Abs("../../deploy/audit-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "audit.log")
	in := harness.Install(t, controlplane.Options{APIServerArgs: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + log}}, harness.Options{})

	play(t, in)
	first := read(t, log)
	play(t, in)
	second := read(t, log)[len(first):]

	t.Run("replay", func(t *testing.T) { namesTheDenied(t, first, second) })
	t.Run("monitoring", func(t *testing.T) { monitored(t, in) })
}

// namesTheDenied checks that replay of the first log reports exactly the requests that the webhook denied in the second, with the
// same findings.
func namesTheDenied(t *testing.T, first, second []byte) {
	want := deniedLive(t, second)
	if len(want) == 0 {
		t.Fatal("nothing was denied")
	}
	got := deniedInReplay(t, first, "--policy=test/demo/policy.yaml")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("denied by the webhook (-) and by replay (+):\n%s", diff)
	}
	t.Logf("%d requests denied, both times:\n%s", len(want), strings.Join(want, "\n"))
}

// play plays the demo, which cleans up after itself.
func play(t *testing.T, in *harness.Installation) {
	t.Helper()
	demo := exec.CommandContext(t.Context(), "go", "run", "../demo")
	demo.Env = append(os.Environ(), "KUBECONFIG="+in.Kubeconfig, "PATH="+filepath.Dir(in.Kubectl(t.Context()).Path)+":"+os.Getenv("PATH"))
	if out, err := demo.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// deniedLive returns the requests that the webhook denied, from an audit log, with their findings, which are in the events'
// annotations.
func deniedLive(t *testing.T, log []byte) []string {
	t.Helper()
	var all []string
	for line := range bytes.Lines(log) {
		var e struct {
			Verb        string
			User        struct{ Username string }
			ObjectRef   struct{ Resource, Subresource, Namespace, Name string }
			Annotations map[string]string
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		for key, value := range e.Annotations {
			if strings.HasSuffix(key, ".mooring.dev/denied") {
				resource := strings.TrimSuffix(e.ObjectRef.Resource+"/"+e.ObjectRef.Subresource, "/")
				all = append(all, strings.Join([]string{e.Verb, resource, e.ObjectRef.Namespace, e.ObjectRef.Name, e.User.Username, value}, " "))
			}
		}
	}
	return all
}

// deniedInReplay returns the requests that `mooring replay` would deny, in the same form.
func deniedInReplay(t *testing.T, log []byte, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"-C", "../..", "run", "./cmd/mooring", "replay", "-o", "json", "-"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(log), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mooring replay: %v\n%s", err, &stderr)
	}
	var report struct {
		Findings []struct {
			Rule, Check, Policy, Action string
			Request                     struct{ AuditID, Verb, Resource, Namespace, Name, User string }
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	var all []string
	last := ""
	for _, f := range report.Findings {
		why, r := f.Rule+"/"+f.Check+"@"+f.Policy, f.Request
		switch {
		case f.Action != "Deny":
		case r.AuditID == last:
			all[len(all)-1] += "," + why
		default:
			all = append(all, strings.Join([]string{r.Verb, r.Resource, r.Namespace, r.Name, r.User, why}, " "))
			last = r.AuditID
		}
	}
	return all
}
