package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/manifests"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/words"
)

type fixOptions struct {
	diff, together, complete bool
	namespace                string
	policies                 policyFlags
}

func newFix() *cobra.Command {
	var o fixOptions
	cmd := &cobra.Command{
		Use:   "fix [PATH]...",
		Short: "Fix in manifests what needs no decision",
		Long: `Fix writes the defaults of policies into manifests, makes a governing Service without a cluster IP headless, and adds a missing
headless Service, or a missing PodDisruptionBudget for several replicas. Other lines and comments stay as they are. It changes files,
folders, and the plain resources of kustomizations, but no charts. A second run changes nothing.

The exit code is 2 if something could not be read, judged or written (the rest is still fixed), and 0 otherwise. With --diff, which
writes nothing, it is 1 if there is something to change. See docs/fix.md.`,
		Example: `  # Show what would change
  mooring fix --diff deploy

  # Use the defaults of a policy
  mooring fix --policy=policy.yaml deploy

  # Use the restricted profile
  mooring fix --profile=restricted deploy/db.yaml`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				paths = []string{"."}
			}
			return o.run(cmd, paths)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.diff, "diff", false, "show the changes as a unified diff instead of making them")
	f.BoolVar(&o.complete, "complete", false, "treat what is not in the files as missing")
	f.BoolVar(&o.together, "together", false, "treat all files as one environment, even if several hold the same object")
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of objects that name none")
	o.policies.add(cmd)
	return cmd
}

func (o *fixOptions) run(cmd *cobra.Command, paths []string) error {
	all, err := o.policies.read()
	if err != nil {
		return err
	}
	bar := newReading(cmd.ErrOrStderr())
	set, charts := manifests.Loader{Progress: bar.show}.Sources(paths...)
	bar.clear()
	more, errs := set.Policies()
	j := manifests.Judgement{Complete: o.complete, Together: o.together, Namespace: o.namespace}
	if j.Policies, err = policies.Compile(rules.All, append(all, more...), o.policies.profile); err != nil {
		return err
	}
	fixes := set.Fix(j)
	failures := 0
	fail := func(what any) {
		failures++
		fmt.Fprintf(cmd.ErrOrStderr(), "mooring: %v\n", what)
	}
	for _, e := range append(fixes.Errors, errs...) {
		fail(e)
	}
	out := cmd.OutOrStdout()
	for _, file := range fixes.Files {
		if o.diff {
			fmt.Fprint(out, file.Diff())
		} else if err := file.Write(); err != nil {
			fail(err)
		}
	}
	if o.diff {
		// Other text in the output would keep patch from reading the diff.
		out = cmd.ErrOrStderr()
	}
	o.summarize(out, fixes, charts)
	switch {
	case failures > 0:
		return fmt.Errorf("not everything could be fixed: %s", words.Plural(failures, "error"))
	case o.diff && len(fixes.Files) > 0:
		return foundError{fmt.Errorf("%s would change", words.Plural(len(fixes.Files), "file"))}
	}
	return nil
}

// summarize prints what was fixed and what was not.
func (o *fixOptions) summarize(out io.Writer, fixes manifests.Fixes, charts []string) {
	if !o.diff {
		for _, r := range fixes.Made {
			fmt.Fprintf(out, "fixed  %s\n", r)
		}
	}
	for _, r := range fixes.Left {
		fmt.Fprintf(out, "left   %s\n", r)
	}
	for _, chart := range charts {
		fmt.Fprintf(out, "left   %s: it is a chart, and templates are not changed\n", chart)
	}
	would := ""
	if o.diff {
		would = "would be "
	}
	fmt.Fprintf(out, "%s %smade in %s, %d left to do by hand.", words.Plural(len(fixes.Made), "change"), would, words.Plural(len(fixes.Files), "file"), len(fixes.Left))
	if fixes.Remaining > 0 {
		fmt.Fprintf(out, " Left for you to decide: %s; run mooring check.", words.Plural(fixes.Remaining, "finding"))
	}
	fmt.Fprintln(out)
}
