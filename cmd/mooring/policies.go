package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

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
