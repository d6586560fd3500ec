package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
)

// view is one namespace with everything in it that an audit reads, held in memory, so that judging one object costs no request.
// It is the Cluster of every rule that judges something in the namespace.
type view struct {
	policies.Nobody
	*surroundings
	ctx     context.Context
	name    string
	objects map[*kinds.Kind]map[string]kinds.Object
	// listed are the objects of a kind in the order of their names, once they were asked for.
	listed   map[*kinds.Kind][]kinds.Object
	podsRead bool
}

var _ policies.Cluster = (*view)(nil)

func newView(ctx context.Context, s *surroundings, name string) *view {
	return &view{surroundings: s, ctx: ctx, name: name, objects: map[*kinds.Kind]map[string]kinds.Object{}, listed: map[*kinds.Kind][]kinds.Object{}}
}

// add puts an object of the namespace where it is found.
func (v *view) add(o kinds.Object) {
	kind := kinds.Of(o)
	if v.objects[kind] == nil {
		v.objects[kind] = map[string]kinds.Object{}
	}
	v.objects[kind][o.GetName()] = o
}

// Get returns an object of the namespace, or of none. What could not be read is unknown, and so are nodes: nothing that stands in
// a cluster is judged by them.
func (v *view) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	if kind == kinds.PersistentVolume {
		return v.volume(v.ctx, name)
	}
	from, known, err := v.of(kind, namespace)
	return from[name], known, err
}

// List returns the objects of the namespace that the selector selects, in the order of their names.
func (v *view) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	from, known, err := v.of(kind, namespace)
	if err != nil || !known {
		return nil, known, err
	}
	all, ok := v.listed[kind]
	if !ok {
		all = byName(from)
		v.listed[kind] = all
	}
	if selector.Empty() {
		return all, true, nil
	}
	var selected []kinds.Object
	for _, o := range all {
		if selector.Matches(labels.Set(o.GetLabels())) {
			selected = append(selected, o)
		}
	}
	return selected, true, nil
}

// of returns the objects of the kind by name. No rule looks into another namespace.
func (v *view) of(kind *kinds.Kind, namespace string) (map[string]kinds.Object, bool, error) {
	switch {
	case kind == kinds.Namespace:
		return v.namespaces, !v.unknown.has(kind, v.name), nil
	case kind == kinds.StorageClass:
		return v.classes, !v.unknown.has(kind, v.name), nil
	case namespace != v.name || v.unknown.has(kind, v.name) || !kind.Namespaced:
		return nil, false, nil
	case kind == kinds.Pod && !v.podsRead:
		// Once, and only where something needs them: there are more of them than of everything else together.
		v.podsRead = true
		known, err := v.readPods(v.ctx, v.name, v.add)
		if err != nil || !known {
			return nil, known, err
		}
	}
	return v.objects[kind], !v.unknown.has(kind, v.name), nil
}

// all returns the view's objects of the Go type T, in the order of their names.
func all[T kinds.Object](v *view) []T {
	var found []T
	for _, o := range byName(v.objects[kinds.For[T]()]) {
		found = append(found, o.(T))
	}
	return found
}

func byName(from map[string]kinds.Object) []kinds.Object {
	sorted := make([]kinds.Object, 0, len(from))
	for _, name := range slices.Sorted(maps.Keys(from)) {
		sorted = append(sorted, from[name])
	}
	return sorted
}

// namespace returns the view's own namespace, or nil where namespaces may not be read.
func (v *view) namespace() *corev1.Namespace {
	namespace, _ := v.namespaces[v.name].(*corev1.Namespace)
	return namespace
}

// claimsBySet returns the claims by the name of the StatefulSet that has a name for them.
func (v *view) claimsBySet() map[string][]*corev1.PersistentVolumeClaim {
	byTemplate := map[string]*appsv1.StatefulSet{}
	for _, set := range all[*appsv1.StatefulSet](v) {
		for i := range set.Spec.VolumeClaimTemplates {
			byTemplate[set.Spec.VolumeClaimTemplates[i].Name+"-"+set.Name] = set
		}
	}
	claims := map[string][]*corev1.PersistentVolumeClaim{}
	for _, claim := range all[*corev1.PersistentVolumeClaim](v) {
		if template, _, ok := statefulset.CutOrdinal(claim.Name); ok && byTemplate[template] != nil {
			name := byTemplate[template].Name
			claims[name] = append(claims[name], claim)
		}
	}
	return claims
}

func inNamespace(name string, err error) error { return fmt.Errorf("namespace %s: %w", name, err) }
