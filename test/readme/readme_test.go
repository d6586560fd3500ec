// Package readme runs the commands of README.md as a new user does.
package readme

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

const root = "../.."

// begins is the line of docs/walk.md after which the walk is written.
const begins = "<!-- make walk writes everything from here on -->\n"

// elsewhere are the commands that need a container engine or change the installation, and the tests that cover them. make commands
// are only checked for their target.
var elsewhere = map[string]string{
	"kind create":    "needs a container engine",
	"make load":      "needs a container engine",
	"make build":     "the harness builds the program",
	"helm install":   "test/helm",
	"helm uninstall": "test/helm",
}

var walk = flag.String("walk", "", "write the walk, with the time that each command took, to this file")

var block = regexp.MustCompile("(?s)\n```(sh|console)\n(.*?)\n```\n")

// TestCommands runs each command of README.md in the repository's root, against a control plane with Mooring. A command after a
// dollar sign must be refused with the rule that the page shows.
func TestCommands(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var steps strings.Builder
	step := func(command, answer string, began time.Time) {
		fmt.Fprintf(&steps, "| `%s` | %s | %.1f s |\n", command, answer, time.Since(began).Seconds())
	}
	began := time.Now()
	in := harness.Install(t, controlplane.Options{}, harness.Options{})
	step("helm install mooring deploy/chart --namespace mooring-system --create-namespace --wait", "installed, with the start of the control plane", began)
	bin := t.TempDir()
	began = time.Now()
	program, err := harness.Build(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	step("make build", "built, with the packages of earlier builds at hand", began)
	run := func(line string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		line = strings.ReplaceAll(line, "=bin/", "="+bin+"/")
		cmd := exec.CommandContext(ctx, "bash", "-euc", strings.ReplaceAll(line, "bin/mooring ", program+" "))
		kubectl := in.Kubectl(ctx)
		cmd.Dir = root
		cmd.Env = slices.Concat(os.Environ(), kubectl.Env, []string{
			"KUBECONFIG=" + in.Kubeconfig, "PATH=" + filepath.Dir(kubectl.Path) + ":" + os.Getenv("PATH"),
		})
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	ran := 0
	for _, match := range block.FindAllStringSubmatch(string(page), -1) {
		kind, text := match[1], match[2]
		if kind == "console" {
			line, shown, _ := strings.Cut(strings.TrimPrefix(text, "$ "), "\n")
			began := time.Now()
			out, err := run(line)
			step(line, "refused: "+finding(out), began)
			if want := finding(shown); err == nil || want == "" || finding(out) != want {
				t.Errorf("%s\nis not refused with %q: %v\n%s", line, want, err, out)
			}
			ran++
			continue
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if words := strings.Fields(line); elsewhere[strings.Join(words[:2], " ")] != "" {
				if words[0] == "make" {
					if out, err := exec.CommandContext(t.Context(), "make", slices.Concat([]string{"-C", root, "-n"}, words[1:])...).CombinedOutput(); err != nil {
						t.Errorf("%s: %v\n%s", line, err, out)
					}
				}
				continue
			}
			began := time.Now()
			out, err := run(line)
			// Exit code 1 means findings.
			var exit *exec.ExitError
			found := strings.HasPrefix(line, "bin/mooring ") && errors.As(err, &exit) && exit.ExitCode() == 1
			if err != nil && !found {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
			step(line, answer(out), began)
			ran++
		}
	}
	if ran < 15 {
		t.Errorf("README.md has %d commands; are its blocks marked as sh and console?", ran)
	}
	if lines := strings.Count(string(page), "\n"); lines > 150 {
		t.Errorf("README.md has %d lines, more than 150", lines)
	}
	if *walk != "" && !t.Failed() {
		text, err := os.ReadFile(*walk)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(text), begins)
		table := head + begins + "\n| command | answer | time |\n| --- | --- | --- |\n" + steps.String()
		if err := os.WriteFile(*walk, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// answer returns a command's output for a table cell.
func answer(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	first := strings.NewReplacer("|", "/", "<", "&lt;").Replace(lines[0])
	if len(first) > 100 {
		first = first[:100] + "…"
	}
	if len(lines) > 1 {
		first += fmt.Sprintf(" (%d lines)", len(lines))
	}
	return first
}

var denied = regexp.MustCompile(`denied the request: ([a-z-]+/[a-z-]+)`)

// finding returns the rule and check of the first denial in the text.
func finding(text string) string {
	if match := denied.FindStringSubmatch(text); match != nil {
		return match[1]
	}
	return ""
}
