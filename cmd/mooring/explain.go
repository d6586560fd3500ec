package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/report"
)

func newExplain() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "explain [RULE]",
		Short: "Say what the rules are, or all about one of them",
		Long: `Explain lists the rules, with what each profile does with their findings. Of one rule it tells why there is such a rule,
what it checks, its parameters, what each profile says, and examples with what Mooring answers to them.`,
		Example: `  # Which rules are there?
  mooring explain

  # What is behind a finding?
  mooring explain scale-down/quorum

  # The same for a program
  mooring explain scale-down -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRule,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output: %q is neither text nor json", output)
			}
			return explain(cmd, args, output == "json")
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	registerCompletions(cmd, map[string][]string{"output": {"text", "json"}})
	return cmd
}

func explain(cmd *cobra.Command, args []string, asJSON bool) error {
	out := cmd.OutOrStdout()
	if len(args) == 0 {
		if asJSON {
			return report.WriteRulesJSON(out)
		}
		return report.WriteRules(out)
	}
	// A finding is headed rule/check, and that is what a person copies.
	id, _, _ := strings.Cut(args[0], "/")
	rule, ok := policies.Find(id)
	if !ok {
		return unknownRule(id)
	}
	doc, err := report.Explain(rule)
	if err != nil {
		return err
	}
	if asJSON {
		return doc.WriteJSON(out)
	}
	return doc.WriteText(out)
}

// unknownRule names the rules that may have been meant, as cobra does for its own commands.
func unknownRule(id string) error {
	rules := &cobra.Command{SuggestionsMinimumDistance: 3}
	for _, r := range policies.Rules {
		rules.AddCommand(&cobra.Command{Use: r.ID, Run: func(*cobra.Command, []string) {}})
	}
	if near := rules.SuggestionsFor(id); len(near) > 0 {
		return fmt.Errorf("there is no rule %q; did you mean %s?", id, strings.Join(near, " or "))
	}
	return fmt.Errorf("there is no rule %q; mooring explain lists those there are", id)
}

// completeRule offers the rules to the shell.
func completeRule(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 {
		for _, r := range policies.Rules {
			ids = append(ids, r.ID+"\t"+r.Title)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
