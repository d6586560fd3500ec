package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// policyFlags are the flags that say by which policies to judge.
type policyFlags struct {
	files   []string
	profile string
}

func (p *policyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&p.files, "policy", nil, "file with StatefulPolicies to judge by; may be repeated")
	cmd.Flags().StringVar(&p.profile, "profile", "baseline", "profile of namespaces that choose none and that no policy matches: baseline, restricted or off")
	registerCompletions(cmd, map[string][]string{"profile": {"baseline", "restricted", "off"}})
}

// load reads and compiles the policies.
func (p *policyFlags) load() (*policies.Set, error) {
	var all []v1alpha1.StatefulPolicy
	for _, name := range p.files {
		read, err := readPolicies(name)
		if err != nil {
			return nil, fmt.Errorf("--policy: %s: %w", name, err)
		}
		all = append(all, read...)
	}
	return policies.Compile(all, p.profile)
}

// readPolicies reads a file of one or more YAML documents, each a StatefulPolicy.
func readPolicies(name string) ([]v1alpha1.StatefulPolicy, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []v1alpha1.StatefulPolicy
	documents := yamlutil.NewYAMLReader(bufio.NewReader(file))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var policy *v1alpha1.StatefulPolicy
		if err := yaml.UnmarshalStrict(document, &policy); err != nil {
			return nil, err
		}
		want := v1alpha1.GroupVersion.WithKind("StatefulPolicy")
		switch {
		case policy == nil:
		case policy.GroupVersionKind() != want:
			return nil, fmt.Errorf("apiVersion %q, kind %q: want %s, %s", policy.APIVersion, policy.Kind, want.GroupVersion(), want.Kind)
		case policy.Name == "":
			return nil, errors.New("a StatefulPolicy has no metadata.name")
		default:
			all = append(all, *policy)
		}
	}
}
