package manifests

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies/words"
)

// nearMiss returns the likely intent of a kind or apiVersion that is almost one that rules read, such as Statefulset or app/v1; ""
// for any other.
func nearMiss(apiVersion, name string) string {
	meant := almost(name)
	k, ok := known[meant]
	if !ok {
		return ""
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	sameGroup := gv.Group == k.group
	switch {
	case err == nil && sameGroup && name == meant && versionOf(k.group, gv.Version):
		return ""
	case err == nil && !sameGroup && strings.Contains(gv.Group, ".") && !words.Similar(gv.Group, k.group):
		// It is a custom kind with this name.
		return ""
	case name != meant && !sameGroup && !words.Similar(gv.Group, k.group):
		return ""
	}
	version := "v1"
	if versions := servedVersions[k.group]; len(versions) > 0 {
		version = versions[len(versions)-1]
	}
	return fmt.Sprintf("Kubernetes has no %s of %s. Fix: write kind: %s and apiVersion: %s",
		name, apiVersion, meant, schema.GroupVersion{Group: k.group, Version: version})
}

// almost returns the kind that rules read with this name, or with a name that differs only in case, a final s, or two letters.
func almost(name string) string {
	if _, ok := known[name]; ok {
		return name
	}
	for kind := range known {
		if strings.EqualFold(kind, name) || strings.EqualFold(kind+"s", name) || len(kind) > 8 && words.Similar(strings.ToLower(kind), strings.ToLower(name)) {
			return kind
		}
	}
	return ""
}

// servedVersions are the stable versions of a group, or all versions if it has none. The default is v1.
var servedVersions = map[string][]string{"autoscaling": {"v1", "v2"}, "keda.sh": {"v1alpha1"}, "mooring.dev": {"v1alpha1"}}

var unstable = regexp.MustCompile(`^v\d+(alpha|beta)\d+$`)

// versionOf reports whether a group may have the version. It may have had an unstable one.
func versionOf(group, version string) bool {
	served := servedVersions[group]
	return slices.Contains(served, version) || len(served) == 0 && version == "v1" || unstable.MatchString(version)
}
