package policies

import (
	"cmp"
	"fmt"
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
	// Path is the field, such as spec.replicas, or spec.pools[0].servers in a list.
	Path string
	// Item is the name of the list's item, which is the end of its StatefulSet's name.
	Item     string
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
		if !slices.Contains(paths, scale) {
			return nil, nil
		}
		lowered := loweredAt(numbersAt(older, "spec.replicas"), numbersAt(newer, "spec.replicas"))
		for i := range lowered {
			lowered[i].Path, lowered[i].Shared = scale, len(paths) > 1
		}
		return lowered, nil
	}
	var lowered []Lowered
	times := map[int64]int{}
	for _, path := range paths {
		was := numbersAt(older, path)
		for _, n := range was {
			if n.value != nil {
				times[*n.value]++
			}
		}
		lowered = append(lowered, loweredAt(was, numbersAt(newer, path))...)
	}
	for i := range lowered {
		lowered[i].Shared = times[lowered[i].From] > 1
	}
	return lowered, nil
}

// number is one in a custom resource, at a field or at that field of a list's item, or what stands in its place.
type number struct {
	path, item string
	value      *int64
}

// numbersAt returns the numbers at a path such as spec.replicas, or spec.pools[*].servers.
func numbersAt(o *kinds.Custom, path string) []number {
	list, below, listed := strings.Cut(path, "[*].")
	value, _, err := unstructured.NestedFieldNoCopy(o.Object, strings.Split(list, ".")...)
	if err != nil {
		return nil
	}
	if !listed {
		return []number{{path: path, value: integer(value)}}
	}
	var numbers []number
	items, _ := value.([]any)
	for i := range items {
		item, _ := items[i].(map[string]any)
		value, _, _ := unstructured.NestedFieldNoCopy(item, strings.Split(below, ".")...)
		name, _ := item["name"].(string)
		component, _ := item["component"].(string)
		numbers = append(numbers, number{fmt.Sprintf("%s[%d].%s", list, i, below), cmp.Or(name, component), integer(value)})
	}
	return numbers
}

func integer(value any) *int64 {
	switch n := value.(type) {
	case int64:
		return &n
	case float64:
		return ptr.To(int64(n))
	}
	return nil
}

// loweredAt compares the numbers at one path, those in a list by the names of the items, or by their places where these have none. An
// item that goes counts as 0, unless others take over what it had, as when an item is renamed.
func loweredAt(was, is []number) []Lowered {
	var lowered []Lowered
	for _, from := range was {
		if from.value == nil {
			continue
		}
		i := slices.IndexFunc(is, func(to number) bool { return to.item == from.item && (from.item != "" || to.path == from.path) })
		switch {
		case i >= 0 && is[i].value != nil && *is[i].value < *from.value:
			lowered = append(lowered, Lowered{Path: from.path, Item: from.item, From: *from.value, To: *is[i].value})
		case i < 0 && from.item != "" && *from.value > 0 && sum(is) < sum(was):
			lowered = append(lowered, Lowered{Path: from.path, Item: from.item, From: *from.value})
		}
	}
	return lowered
}

func sum(numbers []number) (all int64) {
	for _, n := range numbers {
		all += ptr.Deref(n.value, 0)
	}
	return all
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

var replicasPath = regexp.MustCompile(`^spec(\.[A-Za-z_][A-Za-z0-9_-]*)+(\[\*\](\.[A-Za-z_][A-Za-z0-9_-]*)+)?$`)

// owners rejects names that cannot be a field of a custom resource.
func owners(named []v1alpha1.Owner, at *field.Path) error {
	var errs field.ErrorList
	for i, owner := range named {
		if !kinds.IsCustom(owner.Group) {
			errs = append(errs, field.Invalid(at.Index(i).Child("group"), owner.Group, "is no group of custom resources, such as db.example.com"))
		}
		if !replicasPath.MatchString(owner.ReplicasPath) {
			errs = append(errs, field.Invalid(at.Index(i).Child("replicasPath"), owner.ReplicasPath, "is no field such as spec.replicas, or spec.pools[*].replicas in the items of a list"))
		}
	}
	return errs.ToAggregate()
}
