package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mooring-dev/mooring/audit"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/words"
	"github.com/mooring-dev/mooring/report"
)

type auditOptions struct {
	kubeconfig                  string
	contexts                    []string
	allContexts                 bool
	namespaces                  []string
	allNamespaces               bool
	as                          string
	asGroups                    []string
	selector, namespaceSelector string
	policies                    policyFlags
	compare, failOn             string
	limit                       int
	filter                      ruleFilter
	outputs                     report.Outputs[report.Report]
	timeout                     time.Duration
	audit.Options
}

func newAudit() *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Report what violates policies in a cluster",
		Long: `Audit judges the StatefulSets of a cluster, with their claims, governing Services, autoscalers and budgets, and its Deployments.
It uses the StatefulPolicies of the cluster, or other policies before you install them. It also finds what no manifest shows: claims
without a StatefulSet, claims whose volumes are deleted with them, members that are down, stuck rollouts, and budgets that block
every drain. Audit only reads; the chart's ClusterRole mooring-audit is enough. If it may not read something, it says so and judges
the rest.

The exit code is 1 if there is a finding that --fail-on names, 2 if something could not be judged, and 0 otherwise.`,
		Example: `  # What in this cluster violates its policies today?
  mooring audit

  # What would this policy find? (It is not installed.)
  mooring audit --policy=policy.yaml --fail-on=warn

  # A page about all clusters, with what the restricted profile would find
  mooring audit --all-contexts --compare=restricted -o html=fleet.html

  # Only two rules, with the rights of a service account
  mooring audit --only=claim-at-risk,delete-protection --as=system:serviceaccount:audit:reader

  # Two namespaces of one cluster, as policy reports
  mooring audit --context=prod -n shop -n billing -o policyreport`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// The report has what the library would log.
			ctrl.SetLogger(logr.Discard())
			found, err := o.run(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := o.outputs.Write(found, cmd.OutOrStdout()); err != nil {
				return err
			}
			if n := len(found.Errors); n > 0 {
				return fmt.Errorf("not everything could be judged: %s, see the report", words.Plural(n, "error"))
			}
			return verdict(found, o.failOn)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or the Pod's own service account)")
	f.StringArrayVar(&o.contexts, "context", nil, "kubeconfig context of the cluster; may be repeated (default: the current one)")
	f.BoolVar(&o.allContexts, "all-contexts", false, "audit the clusters of all contexts")
	f.StringArrayVarP(&o.namespaces, "namespace", "n", nil, "audit only this namespace, which needs only a RoleBinding in it; may be repeated")
	f.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "audit all namespaces (the default without -n)")
	f.StringVar(&o.as, "as", "", "user to impersonate, or system:serviceaccount:NAMESPACE:NAME")
	f.StringArrayVar(&o.asGroups, "as-group", nil, "group to impersonate; may be repeated")
	f.IntVar(&o.limit, "limit", 100, "number of findings to list in text, most severe first; 0 lists all")
	f.StringVar(&o.namespaceSelector, "namespace-selector", "", "audit only namespaces with these labels")
	f.StringVarP(&o.selector, "selector", "l", "", "judge only objects with these labels")
	f.StringVar(&o.compare, "compare", "", "also report what this profile would find in every namespace: baseline or restricted")
	f.DurationVar(&o.StuckAfter, "stuck-after", 5*time.Minute, "how long a member can be not ready, or a rollout without progress, before it is reported")
	f.DurationVar(&o.timeout, "request-timeout", time.Minute, "how long to wait for each answer of an API server")
	o.filter.add(cmd)
	o.policies.add(cmd)
	addFailOnFlag(cmd, &o.failOn)
	addOutputFlag(cmd, &o.outputs, report.Formats)
	f.Lookup("policy").Usage = "file with StatefulPolicies to use instead of the cluster's; may be repeated"
	registerCompletions(cmd, map[string][]string{"compare": profiles.Names})
	if err := cmd.RegisterFlagCompletionFunc("context", o.completeContexts); err != nil {
		panic(err)
	}
	cmd.MarkFlagsMutuallyExclusive("context", "all-contexts")
	cmd.MarkFlagsMutuallyExclusive("namespace", "namespace-selector")
	cmd.MarkFlagsMutuallyExclusive("namespace", "all-namespaces")
	return cmd
}

// atOnce is the number of clusters audited concurrently.
const atOnce = 8

// run audits the clusters. An error means invalid arguments; a cluster that cannot be audited is in the report.
func (o *auditOptions) run(ctx context.Context, stderr io.Writer) (report.Report, error) {
	var found report.Report
	if err := errors.Join(o.parse(), o.filter.check()); err != nil {
		return found, err
	}
	names, err := o.clusters()
	if err != nil {
		return found, err
	}
	if found.FailOn, err = failOnAction(o.failOn); err != nil {
		return found, err
	}
	candidates, err := o.policies.load()
	if err != nil {
		return found, err
	}
	found.Command, found.Subject, found.Time, found.Version = "audit", cmp.Or(words.List(names), thisCluster), o.Now, buildVersion()
	found.Clusters, found.Limit = names, o.limit
	bar := newProgress(stderr, len(names))
	each := make([]report.Report, len(names))
	var clusters errgroup.Group
	clusters.SetLimit(atOnce)
	for i, name := range names {
		clusters.Go(func() error {
			if err := o.cluster(ctx, name, candidates, bar, &each[i]); err != nil {
				each[i].Errors = append(each[i].Errors, report.Error{Cluster: cmp.Or(name, thisCluster), Message: err.Error()})
			}
			bar.done()
			return nil
		})
	}
	// Errors are in the reports.
	_ = clusters.Wait()
	bar.clear()
	for i, name := range names {
		if o.allContexts || len(o.contexts) > 0 {
			inContext(&each[i], name)
		}
		found.Add(each[i])
	}
	o.filter.apply(&found)
	return found, nil
}

// thisCluster is the name of a cluster without a context.
const thisCluster = "this cluster"

// inContext adds the context to every kubectl command of the report.
func inContext(r *report.Report, context string) {
	named := func(text *string) {
		*text = strings.ReplaceAll(*text, "kubectl ", "kubectl --context="+words.Shell(context)+" ")
	}
	for i := range r.Findings {
		named(&r.Findings[i].Remedy)
	}
	for i := range r.Errors {
		named(&r.Errors[i].Message)
	}
	if r.Candidate != nil {
		inContext(r.Candidate, context)
	}
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
		return fmt.Errorf("--compare=%q is not valid. Fix: use %s", o.compare, strings.Join(profiles.Names, ", "))
	}
	o.Namespaces, o.Candidate, o.DefaultProfile, o.Now = o.namespaces, o.compare, o.policies.profile, time.Now()
	return nil
}

// cluster audits a cluster and adds the result to the report.
func (o *auditOptions) cluster(ctx context.Context, name string, candidates *policies.Set, bar *progress, found *report.Report) error {
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
	options.Asker = func() string { return audit.Asker(ctx, config) }
	if len(o.policies.files) == 0 {
		known := false
		note := func(said string) { bar.say(cmp.Or(name, thisCluster) + ": " + said) }
		if options.Policies, known, err = audit.Installed(ctx, reader, o.policies.profile, note); err != nil {
			return err
		}
		options.PoliciesUnknown = !known
	}
	options.Progress = bar.counter()
	return audit.Cluster(ctx, reader, options, found)
}

// config returns the client configuration of the context, or of the current one.
func (o *auditOptions) config(name string) clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: name}
	overrides.AuthInfo.Impersonate, overrides.AuthInfo.ImpersonateGroups = o.as, o.asGroups
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

// clusters returns the contexts to audit. An empty one is the cluster that this process runs in.
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
		return nil, errors.New("--all-contexts: the kubeconfig has no context")
	case o.allContexts:
		return known, nil
	case len(o.contexts) == 0:
		return []string{raw.CurrentContext}, nil
	}
	for _, name := range o.contexts {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--context: the kubeconfig has no context %q. Fix: use %s", name, cmp.Or(strings.Join(known, ", "), "none"))
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

// progress shows the progress of an audit of several clusters.
type progress struct {
	*reading
	stderr             io.Writer
	clusters, finished atomic.Int64
	judged, total      atomic.Int64
}

func newProgress(to io.Writer, clusters int) *progress {
	p := &progress{reading: newReading(to), stderr: to}
	p.clusters.Store(int64(clusters))
	return p
}

// counter returns a function that counts the objects of one more cluster.
func (p *progress) counter() func(namespace string, judged, total int) {
	var lastJudged, lastTotal int
	return func(_ string, judged, total int) {
		p.judged.Add(int64(judged - lastJudged))
		p.total.Add(int64(total - lastTotal))
		lastJudged, lastTotal = judged, total
		p.tell()
	}
}

// done counts a finished cluster.
func (p *progress) done() {
	p.finished.Add(1)
	p.tell()
}

func (p *progress) tell() {
	p.show(int(p.judged.Load()), int(p.total.Load()), fmt.Sprintf("objects, %d of %s finished", p.finished.Load(), words.Plural(p.clusters.Load(), "cluster")))
}

// say writes a line above the progress.
func (p *progress) say(line string) {
	p.Lock()
	defer p.Unlock()
	p.clear()
	fmt.Fprintln(p.stderr, line)
}
