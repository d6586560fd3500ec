package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/ruledoc"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/report"
)

func newExplain() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "explain [RULE]",
		Short: "List the rules, or explain one of them",
		Long: `Explain lists the rules and their action in each profile. For one rule it shows the reason for the rule, its checks and parameters,
its action in each profile, and examples with Mooring's answers.`,
		Example: `  # Which rules are there?
  mooring explain

  # What does a finding mean?
  mooring explain scale-down/quorum

  # Write JSON for a program
  mooring explain scale-down -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRule,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output=%q is not valid. Fix: use text or json", output)
			}
			return explain(cmd, args, output == "json")
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	registerCompletions(cmd, map[string][]string{"output": {"text", "json"}})
	return cmd
}

func explain(cmd *cobra.Command, args []string, asJSON bool) error {
	all, err := ruledoc.All()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	switch {
	case len(args) > 0:
	case asJSON:
		return encoder.Encode(all)
	default:
		return ruledoc.WriteTable(out, all)
	}
	// Users copy rule/check from a finding.
	id, _, _ := strings.Cut(args[0], "/")
	i := slices.IndexFunc(all, func(r ruledoc.Rule) bool { return r.ID == id })
	switch {
	case i < 0:
		return policies.UnknownRule(rules.All, id)
	case asJSON:
		return encoder.Encode(all[i])
	}
	return all[i].WriteText(out, report.Bold(out))
}

// completeRule returns the rules for shell completion.
func completeRule(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 {
		for _, r := range rules.All {
			ids = append(ids, r.ID+"\t"+r.Title)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
