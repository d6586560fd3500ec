package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
	"github.com/mooring-dev/mooring/report"
)

// failOnNames are the values of --fail-on, the strictest first.
var failOnNames = []string{"deny", "warn", "audit", "never"}

// addFailOnFlag adds the flag --fail-on.
func addFailOnFlag(cmd *cobra.Command, failOn *string) {
	cmd.Flags().StringVar(failOn, "fail-on", "deny", "lowest action for exit code 1: "+strings.Join(failOnNames, ", "))
	registerCompletions(cmd, map[string][]string{"fail-on": failOnNames})
}

// failOnAction returns the flag's action, Off for never.
func failOnAction(name string) (v1alpha1.Action, error) {
	actions := []v1alpha1.Action{v1alpha1.Deny, v1alpha1.Warn, v1alpha1.Audit, v1alpha1.Off}
	if i := slices.Index(failOnNames, name); i >= 0 {
		return actions[i], nil
	}
	return "", fmt.Errorf("--fail-on=%q is not valid. Fix: use %s", name, strings.Join(failOnNames, ", "))
}

// verdict returns an error if there are findings with the action of --fail-on or a stricter one.
func verdict(r report.Report, failOn string) error {
	if !r.Failed() {
		return nil
	}
	n := 0
	for _, f := range r.Findings {
		if r.Fails(f) {
			n++
		}
	}
	return foundError{fmt.Errorf("%s at or above %s", words.Plural(n, "finding"), failOn)}
}
