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

// Watched are the informers of a cache, by what they watch.
type Watched map[*kinds.Kind]informer

type informer interface {
	HasSynced() bool
	GetIndexer() toolscache.Indexer
}

// Watch has the cache watch each kind that rules read through it, and the Pods of StatefulSets: see member. It does not wait for what
// there is, so that the first review need not.
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
	}
	return watched, nil
}

// Synced tells whether all that there was is in the cache, save Pods, which are many and can be done without.
func (w Watched) Synced() bool {
	for kind, informer := range w {
		if kind != kinds.Pod && !informer.HasSynced() {
			return false
		}
	}
	return true
}

// names returns the names of those objects of the namespace that match. Nothing is copied: nobody changes it.
func (w Watched) names(kind *kinds.Kind, namespace string, match func(kinds.Object) bool) (names []string, ok bool) {
	informer, ok := w[kind]
	if !ok || !informer.HasSynced() {
		return nil, false
	}
	objects, err := informer.GetIndexer().ByIndex(toolscache.NamespaceIndex, namespace)
	if err != nil {
		return nil, false
	}
	for _, o := range objects {
		if m, ok := o.(*member); ok {
			if len(m.claims) == 0 {
				continue
			}
			o = m.pod()
		}
		if o := o.(kinds.Object); match(o) {
			names = append(names, o.GetName())
		}
	}
	return names, true
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
		of := cache.ByObject{Transform: trim(kind)}
		if kind == kinds.Pod {
			of = cache.ByObject{Label: members, Transform: slim}
		}
		trimmed[kind.New()] = of
	}
	return trimmed
}

// members selects the Pods that StatefulSets made.
var members = func() labels.Selector {
	made, err := labels.NewRequirement(appsv1.StatefulSetPodNameLabel, selection.Exists, nil)
	utilruntime.Must(err)
	return labels.NewSelector().Add(*made)
}()

// member is what the cache keeps of a Pod. Pods are many and change often, and are judged by as they are now; what no name tells is
// which of them uses a claim.
type member struct {
	metav1.ObjectMeta
	// claims are those that do not end in the Pod's name, as those of claim templates do.
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

// pod returns a Pod that has what the member has kept.
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
