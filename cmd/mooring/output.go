package main

import (
	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/report"
)

// addOutputFlag adds the flag -o, with its values in outputs.
func addOutputFlag[R any](cmd *cobra.Command, outputs *report.Outputs[R], formats []report.Format[R]) {
	outputs.Formats = formats
	cmd.Flags().VarP(outputs, "output", "o", outputs.Usage())
	registerCompletions(cmd, map[string][]string{"output": outputs.Complete()})
}

func registerCompletions(cmd *cobra.Command, values map[string][]string) {
	for flag, choices := range values {
		// It fails only if the flag does not exist.
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err)
		}
	}
}
