package webhooks

import (
	"context"
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
	"k8s.io/utils/lru"
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

// Watch makes a cache watch each kind that rules read through it, and a second one the Pods of StatefulSets: see member. It does not
// wait for the caches to sync.
func Watch(ctx context.Context, from cache.Cache, pods Members) (Watched, error) {
	watched := Watched{}
	for _, kind := range kinds.All {
		if !kind.Reads || kind.Live && kind != kinds.Pod {
			continue
		}
		of := from
		if kind == kinds.Pod {
			of = pods
		}
		watching, err := of.GetInformer(ctx, kind.New(), cache.BlockUntilSynced(false))
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

// Members is a cache of Pods. A manager starts it after its own cache has synced: Pods are many, and a server answers without them.
type Members struct{ cache.Cache }

// NeedLeaderElection is false: every replica answers.
func (Members) NeedLeaderElection() bool { return false }

// Synced reports whether the cache has synced. It does not wait for Pods.
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
	namespace, name, resourceVersion string
	// claims are the claims whose name does not end in the Pod's, as those of claim templates do.
	claims []string
}

func slim(o any) (any, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	m := &member{namespace: pod.Namespace, name: pod.Name, resourceVersion: pod.ResourceVersion}
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && !strings.HasSuffix(v.PersistentVolumeClaim.ClaimName, "-"+pod.Name) {
			m.claims = append(m.claims, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return m, nil
}

// GetObjectMeta returns what an informer needs.
func (m *member) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: m.namespace, Name: m.name, ResourceVersion: m.resourceVersion}
}

// pod returns a Pod with what the member keeps.
func (m *member) pod() *corev1.Pod {
	pod := kinds.Pod.New().(*corev1.Pod)
	pod.Namespace, pod.Name, pod.Labels = m.namespace, m.name, map[string]string{appsv1.StatefulSetPodNameLabel: m.name}
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
	o.SetLabels(same(o.GetLabels()))
	switch o := o.(type) {
	case *corev1.Service:
		o.Spec.Selector = same(o.Spec.Selector)
	case *corev1.PersistentVolumeClaim:
		o.Spec.Resources.Requests = sized(o.Spec.Resources.Requests)
	case *appsv1.StatefulSet:
		for i := range o.Spec.VolumeClaimTemplates {
			claim := &o.Spec.VolumeClaimTemplates[i]
			claim.Spec.Resources.Requests = sized(claim.Spec.Resources.Requests)
		}
		template := &o.Spec.Template
		template.Labels = same(template.Labels)
		selectors := []*metav1.LabelSelector{o.Spec.Selector}
		for _, c := range template.Spec.TopologySpreadConstraints {
			selectors = append(selectors, c.LabelSelector)
		}
		for _, selector := range selectors {
			if selector != nil {
				selector.MatchLabels = same(selector.MatchLabels)
			}
		}
	}
}

// recent has the labels of the objects that were cached last. A StatefulSet, its Service and its claims have the same, the API server
// sends the claims of a StatefulSet one after the other, and a map takes as much memory as twenty short strings.
var recent = lru.New(1024)

func same(of map[string]string) map[string]string {
	if len(of) == 0 {
		return nil
	}
	text := labels.FormatLabels(of)
	if seen, ok := recent.Get(text); ok {
		return seen.(map[string]string)
	}
	recent.Add(text, of)
	return of
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
