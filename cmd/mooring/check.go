package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/glob"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mooring-dev/mooring/manifests"
	"github.com/mooring-dev/mooring/manifests/render"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/words"
	"github.com/mooring-dev/mooring/report"
)

type checkOptions struct {
	base                string
	complete, together  bool
	allowEmpty          bool
	exclude             []string
	loadRestrictor      string
	valuesGlob          string
	namespace           string
	context, kubeconfig string
	failOn              string
	policies            policyFlags
	charts              manifests.Release
	filter              ruleFilter
	baseline            baselineFlags
	outputs             report.Outputs[report.Report]
}

func newCheck() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [PATH|-]...",
		Short: "Report what violates policies in files, before you apply them",
		Long: `Check applies the webhook's rules to manifests. It reads files, folders with everything below them that git does not ignore, and the
standard input (-). It renders Helm charts and kustomizations itself. Without a path it reads the current folder. All files belong
together, so that a StatefulSet finds its Service, budget, autoscaler, storage class and namespace. If two folders or files hold the
same object, they count as two environments. StatefulPolicies among the files apply too.

With --base it also judges what the files change compared with an earlier revision or another folder: scale-downs, weaker retention,
immutable fields, and removed or renamed objects.

The exit code is 1 if there is a finding that --fail-on names, 2 if something could not be read or judged, and 0 otherwise.
See docs/check.md.`,
		Example: `  # All manifests below a folder
  mooring check deploy

  # Also what this branch changes; write the findings as SARIF, too
  mooring check deploy --base=origin/main -o text -o sarif=mooring.sarif

  # A chart with its values
  mooring check charts/db --values=prod.yaml --set=replicaCount=5 -n shop

  # In an old repository: record the findings of today, and fail only for new ones
  mooring check . --write-baseline=mooring-baseline.json
  mooring check . --baseline=mooring-baseline.json

  # The output of another tool; look up in a cluster what is missing in it
  kustomize build overlays/prod | mooring check - --context=prod`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				paths = []string{"."}
			}
			found, err := o.run(cmd, paths)
			if err != nil {
				return err
			}
			if err := o.outputs.Write(found, cmd.OutOrStdout()); err != nil {
				return err
			}
			if n := len(found.Errors); n > 0 {
				return fmt.Errorf("not everything could be judged: %s, see the report", words.Plural(n, "error"))
			}
			if o.baseline.write != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s written to %s. From now on, run: mooring check --baseline=%[2]s\n", words.Plural(len(found.Findings), "finding"), o.baseline.write)
				return o.baseline.save(found)
			}
			return verdict(found, o.failOn)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.base, "base", "", "git revision or folder to compare with")
	f.BoolVar(&o.complete, "complete", false, "treat what is not in the files as missing")
	f.BoolVar(&o.together, "together", false, "treat all files as one environment, even if several hold the same object")
	f.BoolVar(&o.allowEmpty, "allow-empty", false, "allow paths without any Kubernetes object")
	f.StringArrayVar(&o.exclude, "exclude", nil, "glob of files and folders to leave out; ** matches any number of folders; may be repeated")
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of objects that name none (default with --context: the context's)")
	f.StringVar(&o.context, "context", "", "kubeconfig context of the cluster in which to look up what is not in the files")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file for --context (default: $KUBECONFIG, or ~/.kube/config)")
	f.StringArrayVar(&o.charts.ValueFiles, "values", nil, "values file for charts; may be repeated")
	f.StringArrayVar(&o.charts.Values, "set", nil, "value for charts, as name=value; may be repeated")
	f.StringVar(&o.valuesGlob, "values-glob", "ci/*-values.yaml", "values files of a chart; without --values and --set, the chart is judged once with each of them")
	f.StringVar(&o.loadRestrictor, "load-restrictor", "root", "what kustomizations may read: root (their own folder), or none (no restriction)")
	f.StringVar(&o.charts.Name, "release-name", "", "release name for charts (default: the chart's name)")
	o.filter.add(cmd)
	o.baseline.add(cmd)
	o.policies.add(cmd)
	addFailOnFlag(cmd, &o.failOn)
	addOutputFlag(cmd, &o.outputs, report.Formats)
	return cmd
}

// run judges the paths. An error means invalid arguments; inputs that cannot be judged are in the report.
func (o *checkOptions) run(cmd *cobra.Command, paths []string) (report.Report, error) {
	failOn, err := failOnAction(o.failOn)
	if err != nil {
		return report.Report{}, err
	}
	if err := o.filter.check(); err != nil {
		return report.Report{}, err
	}
	judgement := manifests.Judgement{Complete: o.complete, Together: o.together, Namespace: o.namespace}
	judgement.Forbidden = func(err error) {
		fmt.Fprintf(cmd.ErrOrStderr(), "mooring: --context: %v; objects there count as unknown\n", err)
	}
	if o.context != "" {
		if err := o.connect(cmd.Context(), &judgement); err != nil {
			return report.Report{}, fmt.Errorf("--context: %w", err)
		}
	}
	all, err := o.policies.read()
	if err != nil {
		return report.Report{}, err
	}
	bar := newReading(cmd.ErrOrStderr())
	o.charts.Namespace = judgement.Namespace
	loader := manifests.Loader{
		Stdin: cmd.InOrStdin(), Chart: render.Chart, Release: o.charts, ValuesGlob: o.valuesGlob,
		Sparse: o.context == "", Progress: bar.show,
	}
	switch o.loadRestrictor {
	case "root":
		loader.Kustomization = render.Kustomization
	case "none":
		loader.Kustomization = render.UnrestrictedKustomization
	default:
		return report.Report{}, fmt.Errorf("--load-restrictor=%q is not valid. Fix: use root or none", o.loadRestrictor)
	}
	if loader.Exclude, err = globs(o.exclude); err != nil {
		return report.Report{}, fmt.Errorf("--exclude: %w", err)
	}
	var set *manifests.Set
	if o.base == "" {
		set = loader.Load(paths...)
	} else if set, judgement.Base, err = loader.LoadChange(o.base, paths...); err != nil {
		return report.Report{}, fmt.Errorf("--base: %w", err)
	}
	bar.clear()
	more, errs := set.Policies()
	if judgement.Policies, err = policies.Compile(rules.All, append(all, more...), o.policies.profile); err != nil {
		return report.Report{}, err
	}
	found := set.Judge(judgement)
	found.Errors = append(found.Errors, errs...)
	if judgement.Base != nil {
		for _, e := range judgement.Base.Errors {
			e.Message = fmt.Sprintf("cannot be compared: in --base=%s it %s", o.base, e.Message)
			found.Errors = append(found.Errors, e)
		}
	}
	if !o.allowEmpty {
		for _, path := range set.Empty {
			found.Errors = append(found.Errors, nothingIn(path))
		}
	}
	found.Root = manifests.BelowRoot()
	found.Command, found.Subject, found.Time, found.Version, found.FailOn = "check", words.List(paths), time.Now(), buildVersion(), failOn
	if err := o.baseline.apply(&found); err != nil {
		return found, err
	}
	o.filter.apply(&found)
	return found, nil
}

// nothingIn returns the error for a path without objects to judge.
func nothingIn(path string) report.Error {
	if path == manifests.Stdin {
		path = "stdin"
	}
	return report.Error{
		Position: report.Position{File: path},
		Message:  "nothing to judge: there is no Kubernetes object in it. Fix: name files or folders with objects, or use --allow-empty",
	}
}

// globs compiles path patterns, in which ** matches any number of folders.
func globs(patterns []string) ([]glob.Glob, error) {
	var all []glob.Glob
	for _, pattern := range patterns {
		g, err := glob.Compile(strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/"), '/')
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		all = append(all, g)
	}
	return all, nil
}

// reading shows the progress on a terminal, once reading takes a while.
type reading struct {
	sync.Mutex
	to    io.Writer
	next  time.Time
	shown bool
}

func newReading(to io.Writer) *reading {
	if file, ok := to.(*os.File); !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) {
		to = io.Discard
	}
	return &reading{to: to, next: time.Now().Add(time.Second)}
}

func (r *reading) show(done, of int, what string) {
	r.Lock()
	defer r.Unlock()
	if now := time.Now(); now.After(r.next) {
		r.next, r.shown = now.Add(100*time.Millisecond), true
		fmt.Fprintf(r.to, "\r\x1b[K%d of %d %s", done, of, what)
	}
}

// clear removes the line.
func (r *reading) clear() {
	if r.shown {
		fmt.Fprint(r.to, "\r\x1b[K")
	}
}
