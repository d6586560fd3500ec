package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mooring-dev/mooring/audit"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/report"
)

type auditOptions struct {
	kubeconfig                  string
	contexts                    []string
	allContexts                 bool
	namespaces                  []string
	selector, namespaceSelector string
	policies                    policyFlags
	compare, failOn             string
	outputs                     report.Outputs[report.Report]
	timeout                     time.Duration
	audit.Options
}

func newAudit() *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Say what in a live cluster violates the policies",
		Long: `Audit judges what stands in a cluster: StatefulSets with their claims and governing Services, autoscalers, budgets and
Deployments, by the StatefulPolicies of that cluster, or by others before they are installed. It also finds what no manifest
shows: claims that nobody owns any more, claims that would take their disks along, members that are down, rollouts that are
stuck, budgets that block every drain. It reads and changes nothing; the ClusterRole mooring-audit of the chart is enough for it.
What may not be read is named, and the rest is judged all the same.

The exit code is 0 where nothing was found that --fail-on names, 1 where something was, and 2 where something could not be judged.`,
		Example: `  # What in this cluster violates its policies today?
  mooring audit

  # What would this policy find? Nothing is installed.
  mooring audit --policy=policy.yaml --fail-on=warn

  # A page about the whole fleet, with what the restricted profile would refuse
  mooring audit --all-contexts --compare=restricted -o html=fleet.html

  # Some namespaces of one cluster, as policy reports
  mooring audit --context=prod -n shop -n billing -o policyreport`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// What the library would log, the report says.
			ctrl.SetLogger(logr.Discard())
			found, err := o.run(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := o.outputs.Write(found, cmd.OutOrStdout()); err != nil {
				return err
			}
			if n := len(found.Errors); n > 0 {
				return fmt.Errorf("not everything could be judged: %d errors, see the report", n)
			}
			return verdict(found, o.failOn)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or the Pod's own service account)")
	f.StringArrayVar(&o.contexts, "context", nil, "kubeconfig context of the cluster; may be repeated (default: the current one)")
	f.BoolVar(&o.allContexts, "all-contexts", false, "audit the clusters of all contexts")
	f.StringArrayVarP(&o.namespaces, "namespace", "n", nil, "audit only this namespace, for which a role in it is enough; may be repeated")
	f.StringVar(&o.namespaceSelector, "namespace-selector", "", "audit only namespaces with these labels")
	f.StringVarP(&o.selector, "selector", "l", "", "judge only objects with these labels")
	f.StringVar(&o.compare, "compare", "", "also say what this profile would find in every namespace: baseline or restricted")
	f.DurationVar(&o.StuckAfter, "stuck-after", 5*time.Minute, "how long a member may be away, or a rollout stand still, before it is reported")
	f.DurationVar(&o.timeout, "request-timeout", time.Minute, "how long to wait for one answer of an API server")
	o.policies.add(cmd)
	addFailOnFlag(cmd, &o.failOn)
	addOutputFlag(cmd, &o.outputs, report.Formats)
	f.Lookup("policy").Usage = "file with StatefulPolicies to judge by instead of the cluster's; may be repeated"
	registerCompletions(cmd, map[string][]string{"compare": profiles.Names})
	if err := cmd.RegisterFlagCompletionFunc("context", o.completeContexts); err != nil {
		panic(err)
	}
	cmd.MarkFlagsMutuallyExclusive("context", "all-contexts")
	cmd.MarkFlagsMutuallyExclusive("namespace", "namespace-selector")
	return cmd
}

// run audits each cluster in turn. The error says that the question makes no sense; a cluster that cannot be audited is in
// the report.
func (o *auditOptions) run(ctx context.Context, stderr io.Writer) (report.Report, error) {
	var found report.Report
	if err := o.parse(); err != nil {
		return found, err
	}
	names, err := o.clusters()
	if err != nil {
		return found, err
	}
	if found.FailOn, err = failOnAction(o.failOn); err != nil {
		return found, err
	}
	found.Subject, found.Version = cmp.Or(strings.Join(names, ", "), "this cluster"), buildVersion()
	candidates, err := o.policies.load()
	if err != nil {
		return found, err
	}
	for _, name := range names {
		if err := o.cluster(ctx, name, candidates, stderr, &found); err != nil {
			found.Errors = append(found.Errors, report.Error{Message: cmp.Or(name, "this cluster") + ": " + err.Error()})
		}
	}
	return found, nil
}

func (o *auditOptions) parse() error {
	var err error
	if o.Objects, err = labels.Parse(o.selector); err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	if o.Selected, err = labels.Parse(o.namespaceSelector); err != nil {
		return fmt.Errorf("--namespace-selector: %w", err)
	}
	if o.compare != "" && !slices.Contains(profiles.Names, o.compare) {
		return fmt.Errorf("--compare: %q is none of %s", o.compare, strings.Join(profiles.Names, ", "))
	}
	o.Namespaces, o.Candidate, o.DefaultProfile, o.Now = o.namespaces, o.compare, o.policies.profile, time.Now()
	return nil
}

// cluster audits one cluster and adds what it finds to the report.
func (o *auditOptions) cluster(ctx context.Context, name string, candidates *policies.Set, stderr io.Writer, found *report.Report) error {
	config, err := o.config(name).ClientConfig()
	if err != nil {
		return err
	}
	reader, err := audit.NewReader(config, "mooring-audit/"+buildVersion(), o.timeout)
	if err != nil {
		return err
	}
	options := o.Options
	options.Cluster, options.Policies = name, candidates
	if len(o.policies.files) == 0 {
		note := func(said string) { fmt.Fprintf(stderr, "%s: %s\n", cmp.Or(name, "this cluster"), said) }
		if options.Policies, err = audit.Installed(ctx, reader, o.policies.profile, note); options.Policies == nil {
			return err
		}
		if err != nil {
			found.Errors = append(found.Errors, report.Error{Message: cmp.Or(name, "this cluster") + ": " + err.Error()})
		}
	}
	bar := newProgress(stderr, name)
	defer bar.clear()
	options.Progress = bar.show
	return audit.Cluster(ctx, reader, options, found)
}

// config returns how to reach the cluster of the context; the current one for no name.
func (o *auditOptions) config(name string) clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: name})
}

// clusters returns the contexts to audit; an empty one stands for the cluster that this process runs in.
func (o *auditOptions) clusters() ([]string, error) {
	raw, err := o.config("").RawConfig()
	if err != nil {
		return nil, err
	}
	var known []string
	for name := range raw.Contexts {
		known = append(known, name)
	}
	slices.Sort(known)
	switch {
	case o.allContexts && len(known) == 0:
		return nil, errors.New("--all-contexts: the kubeconfig has none")
	case o.allContexts:
		return known, nil
	case len(o.contexts) == 0:
		return []string{raw.CurrentContext}, nil
	}
	for _, name := range o.contexts {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--context: the kubeconfig has no %q; it has %s", name, cmp.Or(strings.Join(known, ", "), "none"))
		}
	}
	return slices.Compact(o.contexts), nil
}

func (o *auditOptions) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all := auditOptions{kubeconfig: o.kubeconfig, allContexts: true}
	names, err := all.clusters()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct {
	to    io.Writer
	label string
	last  time.Time
}

func newProgress(to io.Writer, label string) *progress {
	if file, ok := to.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) {
		to = nil
	}
	return &progress{to: to, label: cmp.Or(label, "this cluster")}
}

func (p *progress) show(namespace string, judged, total int) {
	if p.to == nil || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	const width = 24
	done := min(width, width*judged/max(1, total))
	fmt.Fprintf(p.to, "\r\x1b[K%s [%s%s] %d of about %d objects, namespace %s", p.label,
		strings.Repeat("=", done), strings.Repeat(" ", width-done), judged, total, namespace)
	p.last = time.Now()
}

func (p *progress) clear() {
	if p.to != nil && !p.last.IsZero() {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
