package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/manifests"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// policyFlags has the flags that select the policies to judge by.
type policyFlags struct {
	files   []string
	profile string
}

func (p *policyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&p.files, "policy", nil, "file with StatefulPolicies to use; may be repeated")
	cmd.Flags().StringVar(&p.profile, "profile", "baseline", "profile of namespaces for which neither a label nor a policy chooses one: baseline, restricted or off")
	registerCompletions(cmd, map[string][]string{"profile": {"baseline", "restricted", "off"}})
}

// read reads the policies.
func (p *policyFlags) read() ([]v1alpha1.StatefulPolicy, error) {
	var all []v1alpha1.StatefulPolicy
	for _, name := range p.files {
		found, err := readPolicies(name)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// readPolicies reads a file of StatefulPolicies. The error names the file and line of an invalid one.
func readPolicies(name string) ([]v1alpha1.StatefulPolicy, error) {
	set := manifests.Loader{}.Load(name)
	found, errs := set.Policies()
	for _, e := range append(set.Errors, errs...) {
		return nil, fmt.Errorf("--policy: %s", e)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("--policy: %s: there is no StatefulPolicy of %s in it", name, v1alpha1.GroupVersion)
	}
	return found, nil
}
