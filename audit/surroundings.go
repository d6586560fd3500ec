package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
)

// surroundings are what views share: what is in no namespace, and what could not be read.
type surroundings struct {
	namespaces map[string]*corev1.Namespace
	classes    []*storagev1.StorageClass
	unknown    *unknown
	// readPods reads the Pods of a namespace, reclaim what becomes of a volume that is released. Either may be ErrUnknown.
	readPods func(ctx context.Context, namespace string) ([]*corev1.Pod, error)
	reclaim  func(ctx context.Context, volume string) (corev1.PersistentVolumeReclaimPolicy, error)
}

// unknown is what may not be read. Streams write it while others read.
type unknown struct{ kinds sync.Map }

type unread struct{ resource, namespace string }

// add says that the kind cannot be read in the namespace, or nowhere for none, and tells whether that is news.
func (u *unknown) add(k kind, namespace string) bool {
	_, was := u.kinds.LoadOrStore(unread{k.resource, namespace}, true)
	return !was
}

func (u *unknown) has(k kind, namespace string) bool {
	_, everywhere := u.kinds.Load(unread{resource: k.resource})
	_, here := u.kinds.Load(unread{k.resource, namespace})
	return everywhere || here
}

// surroundings reads what is in no namespace: for an audit of some namespaces, those alone.
func (s source) surroundings(ctx context.Context, u *unknown) (*surroundings, error) {
	around := &surroundings{namespaces: map[string]*corev1.Namespace{}, unknown: u}
	var err1 error
	if s.in[0] == "" {
		err1 = s.each(ctx, namespaces, "", func(o policies.Object) { around.namespaces[o.GetName()] = o.(*corev1.Namespace) })
	} else {
		err1 = s.some(ctx, around)
	}
	err2 := s.each(ctx, classes, "", func(o policies.Object) { around.classes = append(around.classes, o.(*storagev1.StorageClass)) })
	around.readPods = func(ctx context.Context, namespace string) ([]*corev1.Pod, error) { return s.pods(ctx, u, namespace) }
	around.reclaim = s.reclaim(u)
	return around, errors.Join(err1, err2)
}

// some reads the namespaces that were named, one by one.
func (s source) some(ctx context.Context, around *surroundings) error {
	for _, name := range s.in {
		namespace := &corev1.Namespace{}
		err := s.reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
		switch {
		case apierrors.IsForbidden(err):
			s.unknown(namespaces, "", err)
			return nil
		case apierrors.IsNotFound(err):
			return fmt.Errorf("there is no namespace %s", name)
		case err != nil:
			return inNamespace(name, err)
		}
		namespace.SetGroupVersionKind(namespaces.GroupVersionKind)
		around.namespaces[name] = namespace
	}
	return nil
}

// each calls visit with all objects of the kind.
func (s source) each(ctx context.Context, k kind, namespace string, visit func(policies.Object)) error {
	for p := range s.list(ctx, k, namespace) {
		if p.err != nil {
			return p.err
		}
		for _, o := range p.objects {
			visit(o)
		}
	}
	return nil
}

// pods reads the Pods of a namespace and keeps of them what an audit looks at.
func (s source) pods(ctx context.Context, u *unknown, namespace string) ([]*corev1.Pod, error) {
	var all []*corev1.Pod
	if s.in[0] == "" && u.has(pods, "") {
		return nil, policies.ErrUnknown
	}
	err := s.each(ctx, pods, namespace, func(o policies.Object) {
		pod := o.(*corev1.Pod)
		all = append(all, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels, CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp},
			Spec:       corev1.PodSpec{NodeName: pod.Spec.NodeName, Volumes: pod.Spec.Volumes},
			Status: corev1.PodStatus{
				Phase: pod.Status.Phase, Conditions: pod.Status.Conditions,
				InitContainerStatuses: pod.Status.InitContainerStatuses, ContainerStatuses: pod.Status.ContainerStatuses,
			},
		})
	})
	if err == nil && u.has(pods, namespace) {
		err = policies.ErrUnknown
	}
	return all, err
}

// reclaim returns a function that says what becomes of a volume. It reads all volumes at once, when it is first asked.
func (s source) reclaim(u *unknown) func(context.Context, string) (corev1.PersistentVolumeReclaimPolicy, error) {
	var known map[string]corev1.PersistentVolumeReclaimPolicy
	return func(ctx context.Context, volume string) (corev1.PersistentVolumeReclaimPolicy, error) {
		if known == nil {
			read := map[string]corev1.PersistentVolumeReclaimPolicy{}
			if err := s.each(ctx, volumes, "", func(o policies.Object) {
				read[o.GetName()] = o.(*corev1.PersistentVolume).Spec.PersistentVolumeReclaimPolicy
			}); err != nil {
				return "", err
			}
			known = read
		}
		if u.has(volumes, "") {
			return "", policies.ErrUnknown
		}
		return known[volume], nil
	}
}
