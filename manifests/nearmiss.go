package manifests

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// nearMiss says what an object was meant to be whose kind or apiVersion is almost one that rules read, such as a Statefulset or
// one of app/v1; "" for any other.
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
	case err == nil && !sameGroup && strings.Contains(gv.Group, ".") && !similar(gv.Group, k.group):
		// It is somebody's own kind of that name.
		return ""
	case name != meant && !sameGroup && !similar(gv.Group, k.group):
		return ""
	}
	version := "v1"
	if versions := servedVersions[k.group]; len(versions) > 0 {
		version = versions[len(versions)-1]
	}
	return fmt.Sprintf("Kubernetes has no %s of %s. Fix: write kind: %s and apiVersion: %s",
		name, apiVersion, meant, schema.GroupVersion{Group: k.group, Version: version})
}

// almost returns the kind that rules read whose name this is, or is but for its case, an s at its end, or two letters.
func almost(name string) string {
	if _, ok := known[name]; ok {
		return name
	}
	for kind := range known {
		if strings.EqualFold(kind, name) || strings.EqualFold(kind+"s", name) || len(kind) > 8 && similar(strings.ToLower(kind), strings.ToLower(name)) {
			return kind
		}
	}
	return ""
}

// servedVersions are the stable versions of a group, or all of one that has none; of the others it is v1.
var servedVersions = map[string][]string{"autoscaling": {"v1", "v2"}, "keda.sh": {"v1alpha1"}, "mooring.dev": {"v1alpha1"}}

var unstable = regexp.MustCompile(`^v\d+(alpha|beta)\d+$`)

// versionOf tells whether a group may have the version. An unstable one it may have had once.
func versionOf(group, version string) bool {
	served := servedVersions[group]
	return slices.Contains(served, version) || len(served) == 0 && version == "v1" || unstable.MatchString(version)
}

// similar tells whether two words are the same but for two letters that are added, left out or others.
func similar(a, b string) bool {
	const most = 2
	if len(a)-len(b) > most || len(b)-len(a) > most || a == "" || b == "" {
		return a == b
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := corner
			if a[i] != b[j] {
				replaced++
			}
			corner = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)] <= most
}
