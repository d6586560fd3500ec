package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/report"
)

// ruleFilter has the flags that select rules.
type ruleFilter struct{ only, skip []string }

func (f *ruleFilter) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "report only these rules, or rule/check; separated by commas; may be repeated")
	cmd.Flags().StringSliceVar(&f.skip, "skip", nil, "leave out these rules, or rule/check; separated by commas; may be repeated")
	for _, flag := range []string{"only", "skip"} {
		if err := cmd.RegisterFlagCompletionFunc(flag, completeChecks); err != nil {
			panic(err)
		}
	}
}

// check returns an error for a name that is no rule or check.
func (f *ruleFilter) check() error {
	for flag, names := range map[string][]string{"only": f.only, "skip": f.skip} {
		for _, name := range names {
			if !policies.Named(rules.All, name) {
				return fmt.Errorf("--%s: %w", flag, policies.UnknownRule(rules.All, name))
			}
		}
	}
	return nil
}

// apply removes the findings that are not selected.
func (f *ruleFilter) apply(r *report.Report) {
	names := func(all []string, found report.Finding) bool {
		return slices.Contains(all, found.Rule) || slices.Contains(all, found.ID())
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(found report.Finding) bool {
		return len(f.only) > 0 && !names(f.only, found) || names(f.skip, found)
	})
	if r.Candidate != nil {
		f.apply(r.Candidate)
	}
}

// completeChecks returns the rules and their checks for shell completion.
func completeChecks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var all []string
	for _, r := range rules.All {
		all = append(all, r.ID+"\t"+r.Title)
		for _, c := range r.Checks {
			all = append(all, r.ID+"/"+c.Name+"\t"+c.Doc)
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// baselineFlags has the flags for known findings.
type baselineFlags struct{ read, write string }

func (b *baselineFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.read, "baseline", "", "JSON report with known findings, which are not listed and do not fail the check")
	cmd.Flags().StringVar(&b.write, "write-baseline", "", "write the current findings to this file for --baseline, and exit with 0")
	cmd.MarkFlagsMutuallyExclusive("baseline", "write-baseline")
}

// apply removes known findings from the report.
func (b *baselineFlags) apply(r *report.Report) error {
	if b.read == "" {
		return nil
	}
	file, err := os.Open(b.read)
	if err != nil {
		return fmt.Errorf("--baseline: %w", err)
	}
	defer file.Close()
	known, err := report.ReadBaseline(file)
	if err != nil {
		return fmt.Errorf("--baseline: %s: %w", b.read, err)
	}
	r.Subtract(known)
	return nil
}

// save writes the report as a baseline.
func (b *baselineFlags) save(r report.Report) error {
	var to report.Outputs[report.Report]
	to.Formats = report.Formats
	if err := to.Set("json=" + b.write); err != nil {
		return fmt.Errorf("--write-baseline: %w", err)
	}
	if err := to.Write(r, nil); err != nil {
		return fmt.Errorf("--write-baseline: %w", err)
	}
	return nil
}
