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

// profiles are in the order in which a case runs under them. All others are compared with off, which has no rules.
var profiles = []string{"off", "warn", "baseline", "restricted"}

// refusal is a denial that a user of the profile wants.
type refusal struct {
	// finding is the rule and the check, or several separated by " or " if timing decides. request is a resource, or a verb and a
	// resource, such as "delete statefulsets".
	finding, request string
	why              string
	// maybe means that the refusal depends on timing, such as whether a Pod is ready again before the next one is deleted.
	maybe bool
}

func (r refusal) is(d denial) bool {
	return slices.Contains(strings.Split(r.finding, " or "), d.Finding) && (r.request == d.Request || strings.HasSuffix(d.Request, " "+r.request))
}

// compatCase is a task that a program performs.
type compatCase struct {
	// program is a name in programs, or kubectl.
	program string
	name    string
	// does is a script that performs the task and checks the result. It stops at the first command that fails. It can use the
	// functions of script.sh, and states which commands must fail under which profile.
	does string
	// refused lists by profile what Mooring refuses.
	refused map[string][]refusal
	// slow excludes the case from -quick. A standIn runs only with -quick.
	slow, standIn bool
}

// outcome is the result of a case under a profile.
type outcome struct {
	err     error
	said    string
	drift   int
	calls   []call
	denials []denial
	took    time.Duration
}

// patience is the time limit of a script. It allows for a busy machine.
const patience = 6 * time.Minute

// namespace returns the case's own namespace under a profile.
func (c compatCase) namespace(profile string) string {
	namespace := strings.ToLower(c.program + "-" + strings.NewReplacer(" ", "-", ",", "", ":", "", ";", "", "'", "").Replace(c.name))
	return strings.Trim(namespace[:min(len(namespace), 50)], "-") + "-" + profile
}

// run runs the case under one profile, in its own namespace.
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

// scene is the namespace and the directory that a script works in.
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
	// The PATH of the script has kubectl, and the program under its usual name.
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

// script runs a script in the scene and returns its output.
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
	// A timeout also stops the script's background processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return out.String(), fmt.Errorf("the script did not finish within %s", patience)
	}
	return out.String(), err
}

// row is a case with its outcomes by profile.
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

// fights returns the objects that a client writes more than twice as often as without rules, with a margin of five writes.
func (r row) fights(profile string) []string {
	before, after := writes(r.outcomes["off"].calls), writes(r.outcomes[profile].calls)
	var all []string
	for _, what := range slices.Sorted(maps.Keys(after)) {
		if n := after[what]; n > 2*before[what]+5 {
			all = append(all, fmt.Sprintf("%s %d times, but only %d times without rules", what, n, before[what]))
		}
	}
	return all
}

// housekeepers write whenever Pods start or stop, so their writes do not count.
var housekeepers = []string{"endpoint-controller", "endpointslice-controller", "disruption-controller"}

// writes counts the writes by user and object, including those that Mooring refused. Writes that failed for another reason do not
// count, because they changed nothing.
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

// judge returns everything that went wrong under a profile.
func (r row) judge(profile string) error {
	o := r.outcomes[profile]
	var wrong error
	for _, d := range r.wrong(profile) {
		wrong = errors.Join(wrong, fmt.Errorf("unexpected denial: %s", d))
	}
	for _, wanted := range r.refused[profile] {
		if !wanted.maybe && !slices.ContainsFunc(o.denials, wanted.is) {
			wrong = errors.Join(wrong, fmt.Errorf("%s did not refuse %q: %s", wanted.finding, wanted.request, wanted.why))
		}
	}
	for _, f := range r.fights(profile) {
		wrong = errors.Join(wrong, fmt.Errorf("fight: %s", f))
	}
	if o.drift > r.outcomes["off"].drift {
		wrong = errors.Join(wrong, fmt.Errorf("%d objects drifted, but only %d without rules", o.drift, r.outcomes["off"].drift))
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
					t.Fatalf("the case fails even without rules: %v\n%s", o.err, o.said)
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

// cases returns the cases of the selected parts.
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
