// Package profiles embeds the two StatefulPolicies that come with Mooring. As with Pod Security, a namespace label chooses one. The
// engine does not know them by name.
package profiles

import (
	"embed"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

//go:embed *.yaml
var files embed.FS

// Names are the profiles' names, the laxest first.
var Names = []string{"baseline", "restricted"}

// Load returns the embedded policy with this name, or an error that lists the names.
func Load(name string) (*v1alpha1.StatefulPolicy, error) {
	data, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("unknown profile %q. Fix: use one of %q", name, Names)
	}
	policy := &v1alpha1.StatefulPolicy{}
	if err := yaml.UnmarshalStrict(data, policy); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return policy, nil
}
