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

// cluster is a namespace in memory, with everything that an audit reads, so that judging an object costs no request. It is the
// Cluster for all rules in the namespace.
type cluster struct {
	policies.Nobody
	*shared
	ctx     context.Context
	name    string
	objects map[*kinds.Kind]map[string]kinds.Object
	// listed are the objects of a kind in the order of their names, and indexed the objects by their values, once requested.
	listed   map[*kinds.Kind][]kinds.Object
	indexed  map[*policies.Index]map[string][]kinds.Object
	podsRead bool
}

var (
	_ policies.Cluster = (*cluster)(nil)
	_ policies.Indexed = (*cluster)(nil)
)

func newCluster(ctx context.Context, s *shared, name string) *cluster {
	return &cluster{
		shared: s, ctx: ctx, name: name, objects: map[*kinds.Kind]map[string]kinds.Object{},
		listed: map[*kinds.Kind][]kinds.Object{}, indexed: map[*policies.Index]map[string][]kinds.Object{},
	}
}

// add adds an object of the namespace.
func (c *cluster) add(o kinds.Object) {
	kind := kinds.Of(o)
	if c.objects[kind] == nil {
		c.objects[kind] = map[string]kinds.Object{}
	}
	c.objects[kind][o.GetName()] = o
}

// Get returns an object of the namespace, or a cluster-scoped one. What could not be read is unknown. So are nodes: no rule on a
// live cluster needs them.
func (c *cluster) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	if kind == kinds.PersistentVolume {
		return c.volume(c.ctx, name)
	}
	from, known, err := c.of(kind, namespace)
	return from[name], known, err
}

// List returns the selected objects of the namespace in the order of their names.
func (c *cluster) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	from, known, err := c.of(kind, namespace)
	if err != nil || !known {
		return nil, known, err
	}
	all, ok := c.listed[kind]
	if !ok {
		all = byName(from)
		c.listed[kind] = all
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

// Seen returns the objects of the namespace with the value. Without it, judging n objects would read n² of them.
func (c *cluster) Seen(index *policies.Index, namespace, value string) ([]kinds.Object, bool) {
	all, known, err := c.List(index.Kind, namespace, labels.Everything())
	if err != nil || !known {
		return nil, false
	}
	if c.indexed[index] == nil {
		c.indexed[index] = index.Over(all)
	}
	return c.indexed[index][value], true
}

// of returns the objects of the kind by name. No rule reads another namespace.
func (c *cluster) of(kind *kinds.Kind, namespace string) (map[string]kinds.Object, bool, error) {
	switch {
	case kind == kinds.Namespace:
		return c.namespaces, !c.unknown.has(kind, c.name), nil
	case kind == kinds.StorageClass:
		return c.classes, !c.unknown.has(kind, c.name), nil
	case namespace != c.name || c.unknown.has(kind, c.name) || !kind.Namespaced:
		return nil, false, nil
	case kind == kinds.Pod && !c.podsRead:
		// Read once and only if needed: there are more Pods than all other objects.
		c.podsRead = true
		known, err := c.readPods(c.ctx, c.name, c.add)
		if err != nil || !known {
			return nil, known, err
		}
	}
	return c.objects[kind], !c.unknown.has(kind, c.name), nil
}

// all returns the cluster's objects of type T in the order of their names.
func all[T kinds.Object](c *cluster) []T {
	var found []T
	for _, o := range byName(c.objects[kinds.For[T]()]) {
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

// namespace returns the cluster's namespace, or nil if namespaces cannot be read.
func (c *cluster) namespace() *corev1.Namespace {
	namespace, _ := c.namespaces[c.name].(*corev1.Namespace)
	return namespace
}

// claimsBySet returns the claims by the name of the StatefulSet whose templates name them.
func (c *cluster) claimsBySet() map[string][]*corev1.PersistentVolumeClaim {
	byTemplate := map[string]*appsv1.StatefulSet{}
	for _, set := range all[*appsv1.StatefulSet](c) {
		for i := range set.Spec.VolumeClaimTemplates {
			byTemplate[set.Spec.VolumeClaimTemplates[i].Name+"-"+set.Name] = set
		}
	}
	claims := map[string][]*corev1.PersistentVolumeClaim{}
	for _, claim := range all[*corev1.PersistentVolumeClaim](c) {
		if template, _, ok := statefulset.CutOrdinal(claim.Name); ok && byTemplate[template] != nil {
			name := byTemplate[template].Name
			claims[name] = append(claims[name], claim)
		}
	}
	return claims
}

func inNamespace(name string, err error) error { return fmt.Errorf("namespace %s: %w", name, err) }
