// Command live plays scripts on a control plane with Mooring, and writes a table of each profile's answers, compared with
// cases.yaml.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

func main() {
	only := flag.String("run", "", "only scripts whose name this regular expression matches")
	many := flag.Int("at-once", 3, "how many scripts run at the same time")
	limit := flag.Duration("limit", 8*time.Minute, "when a script is ended")
	logs := flag.String("logs", "", "the folder for what each script prints (default: a new one)")
	page := flag.String("o", "", "the file to write the table to besides")
	again := flag.Bool("again", false, "judge the logs that the folder holds, and run nothing")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: live [flags] FOLDER\n\nRuns FOLDER/*.sh. A script finds in its environment KUBECONFIG, a PATH with kubectl, MOORING (the binary), MOORINGLOG,\n"+
			"WEBHOOK (its URL), and LABPID, a process that ends Mooring on SIGUSR2 and starts it on SIGUSR1.\n\n  live -run='^(49|50)' -logs=/tmp/live cases\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *only, *logs, *page, *many, *limit, *again); err != nil {
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

func run(folder, only, logs, page string, many int, limit time.Duration, again bool) error {
	scripts, err := read(folder, only)
	if err != nil {
		return err
	}
	if logs == "" {
		if logs, err = os.MkdirTemp("", "mooring-live-"); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "what the scripts print is in", logs)
	if !again {
		if err := play(scripts, logs, many, limit); err != nil {
			return err
		}
	}
	wrong, text := 0, preamble
	for _, s := range scripts {
		log, err := os.ReadFile(s.log(logs))
		if err != nil && s.Skip == "" {
			return err
		}
		row, right := s.row(string(log))
		if !right {
			wrong++
		}
		text += row
	}
	fmt.Print(text)
	if page != "" {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d scripts are not answered as cases.yaml expects", wrong)
	}
	return nil
}

// Case is what a script should show.
type Case struct {
	// Tries says what the script does.
	Tries string `json:"tries"`
	// Skip says why it is not run.
	Skip string `json:"skip,omitempty"`
	// Alone means that no other script can run at the same time, because it stops the server or drains nodes.
	Alone bool `json:"alone,omitempty"`
	// Expect has the expected output of each round by profile, and of the whole script under "script".
	Expect map[string]Expectation `json:"expect,omitempty"`
	// Note says how a correct answer differs from the head of the script, and why.
	Note string `json:"note,omitempty"`
}

// Expectation is what the output must and must not have.
type Expectation struct {
	// Refuses and Warns are findings, as rule/check.
	Refuses []string `json:"refuses,omitempty"`
	Warns   []string `json:"warns,omitempty"`
	// Shows and Never are regular expressions.
	Shows []string `json:"shows,omitempty"`
	Never []string `json:"never,omitempty"`
}

//go:embed cases.yaml
var casesYAML []byte

// Script is a script with its head and its expectation.
type Script struct {
	Case
	path, name, sources, expected, before string
}

func (s Script) log(folder string) string { return filepath.Join(folder, s.name+".log") }

var (
	sourceLine  = regexp.MustCompile(`(?m)^# Source: (.+)$`)
	verdictLine = regexp.MustCompile(`(?m)^# VERDICT expected: (.+); got: (.+)$`)
)

func read(folder, only string) ([]Script, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	cases := map[string]Case{}
	if err := yaml.UnmarshalStrict(casesYAML, &cases); err != nil {
		return nil, fmt.Errorf("cases.yaml: %w", err)
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.sh"))
	if err != nil {
		return nil, err
	}
	var scripts []Script
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		verdict := verdictLine.FindSubmatch(text)
		name := strings.TrimSuffix(filepath.Base(path), ".sh")
		if verdict == nil || !pattern.MatchString(name) {
			continue // a library, or not asked for
		}
		s := Script{Case: cases[name], path: path, name: name, expected: string(verdict[1]), before: string(verdict[2])}
		if source := sourceLine.FindSubmatch(text); source != nil {
			s.sources = string(source[1])
		}
		scripts = append(scripts, s)
	}
	if len(scripts) == 0 {
		return nil, fmt.Errorf("no script in %s has a line # VERDICT expected: …; got: …", folder)
	}
	return scripts, nil
}

// play runs the scripts and keeps their output. Those that run alone run last, one by one.
func play(scripts []Script, logs string, many int, limit time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cp, err := controlplane.Run(ctx, controlplane.Options{Nodes: 8, ControllerManagerArgs: []string{
		"--kube-api-qps=300", "--kube-api-burst=300", "--concurrent-statefulset-syncs=20", "--concurrent-gc-syncs=40",
		"--concurrent-namespace-syncs=20", "--horizontal-pod-autoscaler-sync-period=5s",
	}})
	if err != nil {
		return err
	}
	defer cp.Stop()
	in, err := harness.On(ctx, cp, harness.Options{})
	if err != nil {
		return err
	}
	defer in.Stop()
	go obey(ctx, in)
	env := append(os.Environ(), "KUBECONFIG="+cp.Kubeconfig, "PATH="+filepath.Dir(cp.Kubectl(ctx).Path)+":"+os.Getenv("PATH"),
		fmt.Sprintf("LABPID=%d", os.Getpid()), "MOORINGLOG="+in.Log, "WEBHOOK="+in.Webhook, "MOORING="+in.Mooring(ctx).Path)
	one := func(s Script) error {
		start := time.Now()
		err := s.run(ctx, env, logs, limit)
		fmt.Fprintf(os.Stderr, "%s in %s\n", s.name, time.Since(start).Round(time.Second))
		return err
	}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	free := make(chan struct{}, many)
	for _, s := range scripts {
		if s.Alone || s.Skip != "" {
			continue
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			if err := one(s); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	for _, s := range scripts {
		if s.Alone && s.Skip == "" {
			errs = append(errs, one(s))
		}
	}
	return errors.Join(errs...)
}

// obey stops and starts the server at a script's signals.
func obey(ctx context.Context, in *harness.Installation) {
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, syscall.SIGUSR1, syscall.SIGUSR2)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-asked:
			if s == syscall.SIGUSR2 {
				in.Kill()
			} else if err := in.Start(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "live:", err)
			}
		}
	}
}

// run runs the script in its own process group, so that the time limit also ends its children.
func (s Script) run(ctx context.Context, env []string, logs string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	log, err := os.Create(s.log(logs))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "bash", s.path)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("%s did not end within %s", s.name, limit)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // a script ends as its last command does, which may be one that was refused
	}
	return err
}
