package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// Outcome is the result of an accident or an operation.
type Outcome struct {
	// Lost is what was lost without Mooring.
	Lost Loss
	// Warned are the warnings for an operation, or for an accident under baseline, as rule/check.
	Warned []string
	// Stopped means that baseline also refuses the accident, as far as it loses data.
	Stopped bool
	// Err is the difference from the table.
	Err error
}

// Run runs every accident on a real control plane without Mooring, then with it, then every operation. In each round, atOnce of
// them run concurrently, each in its own namespace.
func Run(ctx context.Context, accidents []Accident, operations []Operation, atOnce int, progress func(round, name string, err error)) (happened, operated []Outcome, err error) {
	// A node takes 110 Pods. A late heartbeat of a busy machine is no accident of the table, but none of the node's Pods becomes
	// ready again.
	cp, err := controlplane.Run(ctx, controlplane.Options{Nodes: 12, ControllerManagerArgs: []string{
		"--kube-api-qps=300", "--kube-api-burst=300", "--concurrent-statefulset-syncs=20", "--concurrent-gc-syncs=40",
		"--concurrent-namespace-syncs=20", "--horizontal-pod-autoscaler-sync-period=2s", "--node-monitor-grace-period=10m",
	}})
	if err != nil {
		return nil, nil, err
	}
	defer cp.Stop()
	config, err := clientcmd.BuildConfigFromFlags("", cp.Kubeconfig)
	if err != nil {
		return nil, nil, err
	}
	config.QPS, config.Burst, config.ContentType = -1, -1, runtime.ContentTypeProtobuf
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	happened = make([]Outcome, len(accidents))
	operated = make([]Outcome, len(operations))
	each(len(accidents), atOnce, func(i int) {
		happened[i].Lost, happened[i].Err = accidents[i].happens(ctx, cp, client, fmt.Sprintf("without-%d", i+1))
		progress("without Mooring", accidents[i].Name, happened[i].Err)
	})
	in, err := harness.On(ctx, cp, harness.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer in.Stop()
	afterwards := make([]func() error, len(accidents))
	each(len(accidents), atOnce, func(i int) {
		var err error
		if afterwards[i], err = accidents[i].isRefused(ctx, cp, client, fmt.Sprintf("with-%d", i+1)); err != nil {
			happened[i].Err = errors.Join(happened[i].Err, fmt.Errorf("with Mooring: %w", err))
		}
		progress("with Mooring", accidents[i].Name, err)
	})
	each(len(accidents), atOnce, func(i int) {
		if accidents[i].Profile != "restricted" {
			return
		}
		var err error
		if happened[i].Warned, happened[i].Stopped, err = accidents[i].underBaseline(ctx, cp, client, fmt.Sprintf("baseline-%d", i+1)); err != nil {
			happened[i].Err = errors.Join(happened[i].Err, fmt.Errorf("under baseline: %w", err))
		}
		progress("under baseline", accidents[i].Name, err)
	})
	each(len(operations), atOnce, func(i int) {
		operated[i].Warned, operated[i].Err = operations[i].passes(ctx, cp, client, fmt.Sprintf("passes-%d", i+1))
		progress("with Mooring", operations[i].Name, operated[i].Err)
	})
	// By now the cluster has had time to react.
	for i, again := range afterwards {
		if again == nil || happened[i].Err != nil {
			continue
		}
		if happened[i].Err = again(); happened[i].Err != nil {
			progress("in the end", accidents[i].Name, happened[i].Err)
		}
	}
	return happened, operated, nil
}

// each calls do for 0 to n-1, atOnce at a time.
func each(n, atOnce int, do func(int)) {
	var all sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i := range n {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			do(i)
		})
	}
	all.Wait()
}

// happens runs the accident, and returns what was lost once it equals the table.
func (a Accident) happens(ctx context.Context, cp *controlplane.ControlPlane, client kubernetes.Interface, namespace string) (Loss, error) {
	on, err := a.set(ctx, cp, client, namespace)
	if err != nil {
		return Loss{}, err
	}
	lost, said, err := a.send(ctx, on)
	if err != nil {
		return Loss{}, err
	}
	var last Loss
	err = harness.Await(ctx, func(ctx context.Context) (err error) {
		if last, err = lost(ctx); err == nil && last != a.Lost {
			err = fmt.Errorf("without Mooring: lost is %s, and the table says %s; the commands said:\n%s", last, a.Lost, said)
		}
		return err
	})
	return last, err
}

// isRefused runs the accident where it is refused, checks that nothing else is lost, and returns a function that looks again.
func (a Accident) isRefused(ctx context.Context, cp *controlplane.ControlPlane, client kubernetes.Interface, namespace string) (func() error, error) {
	on, err := a.set(ctx, cp, client, namespace)
	if err != nil {
		return nil, err
	}
	lost, said, err := a.send(ctx, on)
	if err != nil {
		return nil, err
	}
	err = harness.Await(ctx, func(ctx context.Context) error {
		// A controller is refused later, and leaves an Event.
		events, err := on.events(ctx)
		if err == nil && !refuses(said, a.By) && !refuses(events, a.By) {
			err = fmt.Errorf("nothing says that %s refused it; the commands said:\n%s", a.By, said)
		}
		return err
	})
	spared := func() error {
		return harness.Await(ctx, func(ctx context.Context) error {
			is, err := lost(ctx)
			if err == nil && is != a.Left {
				err = fmt.Errorf("lost is %s, and may be %s; the commands said:\n%s", is, a.Left, said)
			}
			return err
		})
	}
	return spared, errors.Join(err, spared())
}

// underBaseline runs an accident that restricted refuses under baseline. It returns the warnings, and whether baseline also refuses
// it.
func (a Accident) underBaseline(ctx context.Context, cp *controlplane.ControlPlane, client kubernetes.Interface, namespace string) (warned []string, stopped bool, err error) {
	a.Profile = "baseline"
	on, err := a.set(ctx, cp, client, namespace)
	if err != nil {
		return nil, false, err
	}
	lost, said, err := a.send(ctx, on)
	if err != nil {
		return nil, false, err
	}
	stopped = strings.Contains(said, "denied the request")
	return warnings(said), stopped, harness.Await(ctx, func(ctx context.Context) error {
		is, err := lost(ctx)
		switch {
		case err != nil:
		case stopped && is.Claims+is.Volumes > 0:
			err = fmt.Errorf("lost is %s, and it was refused; the commands said:\n%s", is, said)
		case !stopped && is != a.Lost:
			err = fmt.Errorf("lost is %s, and the table says %s; the commands said:\n%s", is, a.Lost, said)
		}
		return err
	})
}

// send runs the accident, and returns a function that looks for losses, and the output.
func (a Accident) send(ctx context.Context, on *scene) (func(context.Context) (Loss, error), string, error) {
	before, err := on.look(ctx, view{})
	if err != nil {
		return nil, "", err
	}
	deaths, err := on.watchDeaths(ctx)
	if err != nil {
		return nil, "", err
	}
	said := ""
	if a.Call == nil {
		said, err = on.run(ctx, a.Do, false)
	} else if failed := a.Call(ctx, on.client, on.namespace); failed != nil {
		said = failed.Error()
	}
	return func(ctx context.Context) (Loss, error) {
		after, err := on.look(ctx, before)
		l := loss(before, after)
		if a.Lost.Unstopped > 0 {
			// kwok ends Pods by name, so sometimes a successor dies instead of its predecessor.
			l.Unstopped = deaths.count()
		}
		return l, err
	}, said, err
}

// refuses reports whether the text has a refusal with one of the findings, not only a warning.
func refuses(text, findings string) bool {
	said := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasPrefix(line, "Warning:") })
	rest := strings.Join(said, "\n")
	return strings.Contains(rest, "denied the request") && slices.ContainsFunc(strings.Split(findings, " or "), func(id string) bool {
		return strings.Contains(rest, id+":")
	})
}

// events returns the text of the scene's Events.
func (on *scene) events(ctx context.Context) (string, error) {
	list, err := on.client.CoreV1().Events(on.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, e := range list.Items {
		fmt.Fprintln(&all, e.Reason, e.Message)
	}
	return all.String(), nil
}

var warning = regexp.MustCompile(`(?m)^Warning: ([a-z-]+/[a-z-]+):`)

// passes runs the operation, checks that nothing is refused, and returns the warnings.
func (o Operation) passes(ctx context.Context, cp *controlplane.ControlPlane, client kubernetes.Interface, namespace string) ([]string, error) {
	on, err := o.set(ctx, cp, client, namespace)
	if err != nil {
		return nil, err
	}
	said, err := on.run(ctx, o.Do, true)
	if err != nil {
		return nil, fmt.Errorf("%w; the commands said:\n%s", err, said)
	}
	events, err := on.events(ctx)
	if strings.Contains(said+events, "denied the request") || strings.Contains(events, "Denied ") {
		err = errors.Join(err, fmt.Errorf("something was refused; the commands said:\n%s\nand the Events:\n%s", said, events))
	}
	return warnings(said), err
}

// warnings returns the findings that the text warns about.
func warnings(text string) []string {
	var all []string
	for _, match := range warning.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}
