package webhooks

import (
	"context"
	"maps"
	"sync"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Cached returns an empty object of each kind that rules read through the cache.
func Cached() []client.Object {
	var cached []client.Object
	for _, kind := range kinds.All {
		if kind.Reads && !kind.Live {
			cached = append(cached, kind.New())
		}
	}
	return cached
}

// IndexFields has a cache hold the Indexes.
func IndexFields(ctx context.Context, of client.FieldIndexer) error {
	for _, index := range policies.Indexes {
		if err := of.IndexField(ctx, index.Kind.New(), index.Name, func(o client.Object) []string { return index.Of(o.(kinds.Object)) }); err != nil {
			return err
		}
	}
	return nil
}

// Trimmed says of every kind what a cache takes from its objects: what no rule reads in them.
func Trimmed() map[client.Object]cache.ByObject {
	trimmed := map[client.Object]cache.ByObject{}
	for _, kind := range kinds.All {
		trimmed[kind.New()] = cache.ByObject{Transform: trim(kind)}
	}
	return trimmed
}

func trim(kind *kinds.Kind) toolscache.TransformFunc {
	return func(o any) (any, error) {
		if object, ok := o.(kinds.Object); ok {
			// What is read from a cache without a copy has the kind that is written in it.
			object.GetObjectKind().SetGroupVersionKind(kind.GroupVersionKind)
			kinds.Trim(object)
			share(object)
		}
		return o, nil
	}
}

// share has objects hold in common what is the same in most: it saves a fifth of a large cluster's cache.
func share(o kinds.Object) {
	switch o := o.(type) {
	case *corev1.PersistentVolumeClaim:
		o.Spec.Resources.Requests = sized(o.Spec.Resources.Requests)
	case *appsv1.StatefulSet:
		for i := range o.Spec.VolumeClaimTemplates {
			claim := &o.Spec.VolumeClaimTemplates[i]
			claim.Spec.Resources.Requests = sized(claim.Spec.Resources.Requests)
		}
		// A small map takes as much as twenty short strings.
		template := &o.Spec.Template
		if maps.Equal(template.Labels, o.Labels) {
			template.Labels = o.Labels
		}
		if o.Spec.Selector != nil && maps.Equal(template.Labels, o.Spec.Selector.MatchLabels) {
			o.Spec.Selector.MatchLabels = template.Labels
		}
	}
}

// sizes holds one list for each size of storage that was asked for: they are few, and a list takes 700 bytes.
var sizes sync.Map

func sized(asked corev1.ResourceList) corev1.ResourceList {
	size, ok := asked[corev1.ResourceStorage]
	if !ok {
		return nil
	}
	list, _ := sizes.LoadOrStore(size.String(), corev1.ResourceList{corev1.ResourceStorage: size})
	return list.(corev1.ResourceList)
}
