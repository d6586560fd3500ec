package policies

import (
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Lowered is a number in a custom resource from which its operator sets the replicas of StatefulSets, and that a change lowers.
type Lowered struct {
	// Path is the field, such as spec.replicas.
	Path     string
	From, To int64
	// Shared means that another such number of the custom resource had, or may have had, the same value.
	Shared bool
}

// Lowered returns the numbers that an update of a custom resource lowers. A number that is removed is not among them: the
// operator's default is unknown.
func (c Change) Lowered(world Cluster) ([]Lowered, error) {
	older, newer := c.Old.(*kinds.Custom), c.New.(*kinds.Custom)
	definition, _, err := Get[*apiextensionsv1.CustomResourceDefinition](world, "", older.Definition())
	if err != nil {
		return nil, err
	}
	var scale string
	if definition != nil {
		for _, version := range definition.Spec.Versions {
			if version.Name == older.GroupVersionKind().Version {
				scale = ScalePath(version)
			}
		}
	}
	paths := ReplicasPaths(older.GroupVersionKind().GroupKind(), scale, c.Owners)
	if c.Scale {
		from, to := numberAt(older, "spec.replicas"), numberAt(newer, "spec.replicas")
		if !slices.Contains(paths, scale) || from == nil || to == nil || *to >= *from {
			return nil, nil
		}
		return []Lowered{{scale, *from, *to, len(paths) > 1}}, nil
	}
	var lowered []Lowered
	times := map[int64]int{}
	for _, path := range paths {
		from, to := numberAt(older, path), numberAt(newer, path)
		if from == nil {
			continue
		}
		times[*from]++
		if to != nil && *to < *from {
			lowered = append(lowered, Lowered{Path: path, From: *from, To: *to})
		}
	}
	for i := range lowered {
		lowered[i].Shared = times[lowered[i].From] > 1
	}
	return lowered, nil
}

func numberAt(o *kinds.Custom, path string) *int64 {
	value, found, err := unstructured.NestedFieldNoCopy(o.Object, strings.Split(path, ".")...)
	if !found || err != nil {
		return nil
	}
	switch n := value.(type) {
	case int64:
		return &n
	case float64:
		return ptr.To(int64(n))
	}
	return nil
}

// ReplicasPaths returns the fields of a kind of custom resource, such as spec.replicas, from which its operator sets the replicas
// of StatefulSets: those that policies name, and those of a well-known operator or else the field of the scale subresource. Not
// every scale subresource is about a StatefulSet.
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

// ScalePath returns the field that the scale subresource of a version shows, or "".
func ScalePath(version apiextensionsv1.CustomResourceDefinitionVersion) string {
	if version.Subresources == nil || version.Subresources.Scale == nil {
		return ""
	}
	return strings.TrimPrefix(version.Subresources.Scale.SpecReplicasPath, ".")
}

var replicasPath = regexp.MustCompile(`^spec(\.[A-Za-z_][A-Za-z0-9_-]*)+$`)

// owners rejects names that cannot be a field of a custom resource.
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
