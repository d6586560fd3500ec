package policies

import (
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// ReplicasPaths returns the fields of a kind of custom resources, such as spec.replicas, from which their operator takes the replicas of
// StatefulSets: those that the policies name, and those of a well-known operator or else the one of the scale subresource. Not every
// scale subresource is about the replicas of a StatefulSet.
func ReplicasPaths(of schema.GroupKind, scale string, named []v1alpha1.Owner) []string {
	var paths, known []string
	for _, owner := range named {
		if owner.Group == of.Group && owner.Kind == of.Kind {
			paths = append(paths, owner.ReplicasPath)
		}
	}
	for _, owner := range wellKnown {
		if owner.Group == of.Group && owner.Kind == of.Kind {
			known = append(known, owner.ReplicasPath)
		}
	}
	if known == nil {
		known = []string{scale}
	}
	paths = slices.DeleteFunc(append(paths, known...), func(path string) bool { return !replicasPath.MatchString(path) })
	slices.Sort(paths)
	return slices.Compact(paths)
}

// ScalePath returns the field that the scale subresource of a version shows, or nothing.
func ScalePath(version apiextensionsv1.CustomResourceDefinitionVersion) string {
	if version.Subresources == nil || version.Subresources.Scale == nil {
		return ""
	}
	return strings.TrimPrefix(version.Subresources.Scale.SpecReplicasPath, ".")
}

var replicasPath = regexp.MustCompile(`^spec(\.[A-Za-z_][A-Za-z0-9_-]*)+$`)

// owners refuses what names no field of a custom resource.
func owners(named []v1alpha1.Owner, at *field.Path) error {
	var errs field.ErrorList
	for i, owner := range named {
		if !kinds.IsCustom(owner.Group) {
			errs = append(errs, field.Invalid(at.Index(i).Child("group"), owner.Group, "is no group of custom resources, such as db.example.com"))
		}
		if !replicasPath.MatchString(owner.ReplicasPath) {
			errs = append(errs, field.Invalid(at.Index(i).Child("replicasPath"), owner.ReplicasPath, "is no field such as spec.replicas; a field in a list cannot be named"))
		}
	}
	return errs.ToAggregate()
}
