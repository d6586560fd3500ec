package webhooks

import (
	"context"
	"maps"
	"strings"
	"sync"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Watched has the informers of a cache, by kind.
type Watched map[*kinds.Kind]informer

type informer interface {
	HasSynced() bool
	AddIndexers(toolscache.Indexers) error
	GetIndexer() toolscache.Indexer
}

// Watch makes the cache watch each kind that rules read through it, and the Pods of StatefulSets: see member. It does not wait for
// the cache to sync.
func Watch(ctx context.Context, from cache.Cache) (Watched, error) {
	watched := Watched{}
	for _, kind := range kinds.All {
		if !kind.Reads || kind.Live && kind != kinds.Pod {
			continue
		}
		watching, err := from.GetInformer(ctx, kind.New(), cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		watched[kind] = watching.(informer)
		if err := watched[kind].AddIndexers(indexersOf(kind)); err != nil {
			return nil, err
		}
	}
	return watched, nil
}

// Synced reports whether the cache has synced. It does not wait for Pods, which are many and not required.
func (w Watched) Synced() bool {
	for kind, informer := range w {
		if kind != kinds.Pod && !informer.HasSynced() {
			return false
		}
	}
	return true
}

// indexersOf returns what fills the Indexes of the kind.
func indexersOf(kind *kinds.Kind) toolscache.Indexers {
	indexers := toolscache.Indexers{}
	for _, index := range policies.Indexes {
		if index.Kind != kind {
			continue
		}
		indexers[index.Name] = func(o any) ([]string, error) {
			object := whole(o)
			var keys []string
			for _, value := range index.Of(object) {
				keys = append(keys, object.GetNamespace()+"/"+value)
				if index.Everywhere {
					keys = append(keys, "/"+value)
				}
			}
			return keys, nil
		}
	}
	return indexers
}

// get returns the cached object. If ok is false, only another read shows whether it exists: the cache has not synced, or it is a
// namespace, which can be too new for the cache.
func (w Watched) get(kind *kinds.Kind, namespace, name string) (o kinds.Object, ok bool) {
	informer, ok := w[kind]
	if !ok || kind.Live || !informer.HasSynced() {
		return nil, false
	}
	found, exists, err := informer.GetIndexer().GetByKey(toolscache.NewObjectName(namespace, name).String())
	if !exists || err != nil {
		return nil, err == nil && kind != kinds.Namespace
	}
	return found.(kinds.Object), true
}

// seen returns the cached objects that the index has under the value. It copies nothing, because no caller changes them.
func (w Watched) seen(index *policies.Index, namespace, value string) ([]kinds.Object, bool) {
	informer, ok := w[index.Kind]
	if !ok || !informer.HasSynced() || namespace == "" && !index.Everywhere {
		return nil, false
	}
	found, err := informer.GetIndexer().ByIndex(index.Name, namespace+"/"+value)
	objects := make([]kinds.Object, len(found))
	for i := range found {
		objects[i] = whole(found[i])
	}
	return objects, err == nil
}

// whole returns a cached object as the Indexes know it.
func whole(cached any) kinds.Object {
	if m, ok := cached.(*member); ok {
		return m.pod()
	}
	return cached.(kinds.Object)
}

// Trimmed returns the cache options that trim each kind's objects.
func Trimmed() map[client.Object]cache.ByObject {
	trimmed := map[client.Object]cache.ByObject{}
	for _, kind := range kinds.All {
		of := cache.ByObject{Transform: trim(kind)}
		if kind == kinds.Pod {
			of = cache.ByObject{Label: members, Transform: slim}
		}
		trimmed[kind.New()] = of
	}
	return trimmed
}

// members selects the Pods of StatefulSets.
var members = func() labels.Selector {
	made, err := labels.NewRequirement(appsv1.StatefulSetPodNameLabel, selection.Exists, nil)
	utilruntime.Must(err)
	return labels.NewSelector().Add(*made)
}()

// member is what the cache keeps of a Pod. Pods are many and change often, so they are judged live. The cache is only needed to
// find the Pods that use a claim.
type member struct {
	metav1.ObjectMeta
	// claims are the claims whose name does not end in the Pod's, as those of claim templates do.
	claims []string
}

func slim(o any) (any, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	m := &member{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, ResourceVersion: pod.ResourceVersion}}
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && !strings.HasSuffix(v.PersistentVolumeClaim.ClaimName, "-"+pod.Name) {
			m.claims = append(m.claims, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return m, nil
}

// pod returns a Pod with what the member keeps.
func (m *member) pod() *corev1.Pod {
	pod := kinds.Pod.New().(*corev1.Pod)
	pod.Namespace, pod.Name, pod.Labels = m.Namespace, m.Name, map[string]string{appsv1.StatefulSetPodNameLabel: m.Name}
	for _, claim := range m.claims {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
	}
	return pod
}

func trim(kind *kinds.Kind) toolscache.TransformFunc {
	return func(o any) (any, error) {
		if object, ok := o.(kinds.Object); ok {
			// Objects read from a cache without a copy keep the kind that is set on them.
			object.GetObjectKind().SetGroupVersionKind(kind.GroupVersionKind)
			kinds.Trim(object)
			share(object)
		}
		return o, nil
	}
}

// share lets objects share values that are the same in most of them, which saves a fifth of a large cluster's cache.
func share(o kinds.Object) {
	switch o := o.(type) {
	case *corev1.PersistentVolumeClaim:
		o.Spec.Resources.Requests = sized(o.Spec.Resources.Requests)
	case *appsv1.StatefulSet:
		for i := range o.Spec.VolumeClaimTemplates {
			claim := &o.Spec.VolumeClaimTemplates[i]
			claim.Spec.Resources.Requests = sized(claim.Spec.Resources.Requests)
		}
		// A small map takes as much memory as twenty short strings.
		template := &o.Spec.Template
		if maps.Equal(template.Labels, o.Labels) {
			template.Labels = o.Labels
		}
		if o.Spec.Selector != nil && maps.Equal(template.Labels, o.Spec.Selector.MatchLabels) {
			o.Spec.Selector.MatchLabels = template.Labels
		}
	}
}

// sizes has one list for each size of storage. There are few sizes, and a list takes 700 bytes.
var sizes sync.Map

func sized(asked corev1.ResourceList) corev1.ResourceList {
	size, ok := asked[corev1.ResourceStorage]
	if !ok {
		return nil
	}
	list, _ := sizes.LoadOrStore(size.String(), corev1.ResourceList{corev1.ResourceStorage: size})
	return list.(corev1.ResourceList)
}
