package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// profiles in the order in which a case runs under them. What happens without any rule is what all others are compared with.
var profiles = []string{"off", "warn", "baseline", "restricted"}

// refusal is a denial that a user of the profile wants.
type refusal struct {
	// finding is rule and check, or one "or" the other where it is a matter of time; request is a resource, or a verb and a resource,
	// as in "delete statefulsets".
	finding, request string
	why              string
	// maybe says that it depends on time, such as on whether a Pod is back before the next one goes.
	maybe bool
}

func (r refusal) is(d denial) bool {
	return slices.Contains(strings.Split(r.finding, " or "), d.Finding) && (r.request == d.Request || strings.HasSuffix(d.Request, " "+r.request))
}

// compatCase is something that a program does.
type compatCase struct {
	// program is the name of the program, or kubectl.
	program string
	name    string
	// does is a script that does it and checks that it ends well. Its first failing command ends it. It finds what script.sh has,
	// and says itself which commands fail under which profile.
	does string
	// refused is what Mooring refuses of it under a profile.
	refused map[string][]refusal
	// slow leaves the case out of the quick part, where a standIn may be.
	slow, standIn bool
}

// outcome is what became of a case under a profile.
type outcome struct {
	err     error
	said    string
	drift   int
	calls   []call
	denials []denial
	took    time.Duration
}

// patience is how long a case may take on a busy machine.
const patience = 6 * time.Minute

// namespace is the case's own under a profile.
func (c compatCase) namespace(profile string) string {
	namespace := strings.ToLower(c.program + "-" + strings.NewReplacer(" ", "-", ",", "", ":", "", ";", "", "'", "").Replace(c.name))
	return strings.Trim(namespace[:min(len(namespace), 50)], "-") + "-" + profile
}

// run runs the case under one profile, in a namespace of its own.
func (c compatCase) run(ctx context.Context, profile string) (outcome, error) {
	namespace := c.namespace(profile)
	s, err := newScene(ctx, namespace, profile, c.program)
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	var o outcome
	s.profile = profile
	o.said, o.err = s.script(ctx, c.does)
	o.took = time.Since(began)
	if data, err := os.ReadFile(filepath.Join(s.dir, "drift")); err == nil {
		o.drift = bytes.Count(data, []byte("\n"))
	}
	if o.calls, err = shared.audit.calls(namespace); err != nil {
		return o, err
	}
	o.denials = denials(o.calls)
	return o, nil
}

// scene is a namespace that a program works in.
type scene struct{ namespace, profile, dir, kubeconfig, path, module string }

func newScene(ctx context.Context, namespace, profile, programName string) (*scene, error) {
	s := &scene{namespace: namespace, dir: filepath.Join(shared.Dir, "scenes", namespace)}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	label := "mooring.dev/profile=" + profile
	if profile == "warn" {
		label = "mooring.dev/mode=warn"
	}
	for _, args := range [][]string{{"create", "namespace", namespace}, {"label", "namespace", namespace, label}} {
		if _, err := shared.Run(ctx, shared.Kubeconfig, "", args...); err != nil {
			return nil, err
		}
	}
	admin, err := shared.KubeconfigFor(programName+":"+namespace, "system:masters")
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.LoadFromFile(admin)
	if err != nil {
		return nil, err
	}
	config.Contexts[config.CurrentContext].Namespace = namespace
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, s.kubeconfig); err != nil {
		return nil, err
	}
	// The script finds kubectl, and its program under the name that people call it by.
	tools := filepath.Join(s.dir, "bin")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return nil, err
	}
	if programName != "kubectl" {
		p := programNamed(programName)
		binary, err := p.path()
		if err != nil {
			return nil, err
		}
		if s.module, err = p.about(ctx, "{{.Dir}}"); err != nil {
			return nil, err
		}
		if err := os.Symlink(binary, filepath.Join(tools, strings.TrimRight(programName, "34"))); err != nil {
			return nil, err
		}
	}
	s.path = tools + ":" + filepath.Dir(shared.Kubectl(ctx).Path) + ":" + os.Getenv("PATH")
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		return nil, err
	}
	return s, os.CopyFS(s.dir, os.DirFS(testdata))
}

// script runs a script in the scene and returns what it printed.
func (s *scene) script(ctx context.Context, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-xc", "source ./script.sh\n"+script)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(),
		"PATH="+s.path, "KUBECONFIG="+s.kubeconfig, "NAMESPACE="+s.namespace, "PROFILE="+s.profile, "HOME="+s.dir, "ADMIN="+shared.Kubeconfig, "MODULE="+s.module, "PATRONI="+shared.patroni,
		"KUBECACHEDIR="+filepath.Join(shared.Dir, "kubectl-cache"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// What the script left running ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return out.String(), fmt.Errorf("the script did not end within %s", patience)
	}
	return out.String(), err
}

// row is a case with what became of it under each profile.
type row struct {
	compatCase
	outcomes map[string]outcome
}

var (
	rowsLock sync.Mutex
	rows     []row
)

func (r row) wrong(profile string) (wrong []denial) {
	for _, d := range r.outcomes[profile].denials {
		if !r.wanted(profile, d) {
			wrong = append(wrong, d)
		}
	}
	return wrong
}

func (r row) wanted(profile string, d denial) bool {
	return slices.ContainsFunc(r.refused[profile], func(wanted refusal) bool {
		return wanted.is(d)
	})
}

// fights are the objects that somebody writes more than twice as often as without rules.
func (r row) fights(profile string) []string {
	before, after := writes(r.outcomes["off"].calls), writes(r.outcomes[profile].calls)
	var all []string
	for _, what := range slices.Sorted(maps.Keys(after)) {
		if n := after[what]; n > 2*before[what]+5 {
			all = append(all, fmt.Sprintf("%s %d times, and %d without rules", what, n, before[what]))
		}
	}
	return all
}

// housekeepers write as often as Pods come and go.
var housekeepers = []string{"endpoint-controller", "endpointslice-controller", "disruption-controller"}

// writes counts the writes of an object by a user, with those that Mooring refused. What failed for another reason changed nothing.
func writes(calls []call) map[string]int {
	count := map[string]int{}
	for _, c := range calls {
		user := c.User.Username
		if slices.Contains(housekeepers, user[strings.LastIndex(user, ":")+1:]) || strings.HasPrefix(user, "system:node:") {
			continue
		}
		if c.writes() && (c.ResponseStatus.Code < 400 || c.refused()) && c.ObjectRef.Name != "" && c.ObjectRef.Subresource != "status" {
			count[user+" writes "+c.object()]++
		}
	}
	return count
}

// judge says what is not as it should be under a profile.
func (r row) judge(profile string) error {
	o := r.outcomes[profile]
	var wrong error
	for _, d := range r.wrong(profile) {
		wrong = errors.Join(wrong, fmt.Errorf("wrong denial: %s", d))
	}
	for _, wanted := range r.refused[profile] {
		if !wanted.maybe && !slices.ContainsFunc(o.denials, wanted.is) {
			wrong = errors.Join(wrong, fmt.Errorf("%s did not refuse %s: %s", wanted.finding, wanted.request, wanted.why))
		}
	}
	for _, f := range r.fights(profile) {
		wrong = errors.Join(wrong, fmt.Errorf("a fight: %s", f))
	}
	if o.drift > r.outcomes["off"].drift {
		wrong = errors.Join(wrong, fmt.Errorf("%d objects drifted, %d without rules", o.drift, r.outcomes["off"].drift))
	}
	if o.err != nil {
		wrong = errors.Join(wrong, o.err)
	}
	return wrong
}

// TestCompat runs every case under every profile.
func TestCompat(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.program+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			r := row{c, map[string]outcome{}}
			for _, profile := range profiles {
				o, err := c.run(t.Context(), profile)
				if err != nil {
					t.Fatal(err)
				}
				r.outcomes[profile] = o
				if profile == "off" && o.err != nil {
					t.Fatalf("it does not even end well without rules: %v\n%s", o.err, o.said)
				}
				if wrong := r.judge(profile); wrong != nil {
					t.Errorf("%s, after %.0f s: %v\n%s", profile, o.took.Seconds(), wrong, o.said)
				}
			}
			rowsLock.Lock()
			defer rowsLock.Unlock()
			rows = append(rows, r)
		})
	}
}

// cases are those that are asked for.
func cases() (all []compatCase) {
	of := map[string][]compatCase{
		"kubectl":   kubectlCases,
		"helm":      slices.Concat(helmCases("helm3"), helmCases("helm4")),
		"gitops":    slices.Concat(gitopsCases("flux"), gitopsCases("argocd")),
		"movers":    moverCases,
		"operators": slices.Concat(operatorCases, played),
	}
	for _, part := range parts {
		if runs(part) {
			all = append(all, of[part]...)
		}
	}
	return slices.DeleteFunc(all, func(c compatCase) bool { return *quick && c.slow || !*quick && c.standIn })
}
