package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// shared is what all clusters of an audit share: cluster-scoped objects, and what could not be read.
type shared struct {
	namespaces, classes map[string]kinds.Object
	unknown             *unknown
	// readPods reads the Pods of a namespace, volume a volume. known is false if they cannot be read.
	readPods func(ctx context.Context, namespace string, add func(kinds.Object)) (known bool, err error)
	volume   func(ctx context.Context, name string) (o kinds.Object, known bool, err error)
}

// unknown is what cannot be read. Streams write it concurrently.
type unknown struct{ kinds sync.Map }

type unread struct {
	resource  schema.GroupResource
	namespace string
}

// add records that the kind cannot be read in the namespace, "" for everywhere, and reports whether this is new.
func (u *unknown) add(k *kinds.Kind, namespace string) bool {
	_, was := u.kinds.LoadOrStore(unread{k.GroupResource(), namespace}, true)
	return !was
}

func (u *unknown) has(k *kinds.Kind, namespace string) bool {
	_, everywhere := u.kinds.Load(unread{resource: k.GroupResource()})
	_, here := u.kinds.Load(unread{k.GroupResource(), namespace})
	return everywhere || here
}

// shared reads the cluster-scoped objects. For an audit of named namespaces, it reads only those.
func (s source) shared(ctx context.Context, u *unknown) (*shared, error) {
	around := &shared{namespaces: map[string]kinds.Object{}, classes: map[string]kinds.Object{}, unknown: u}
	var err1 error
	if s.in[0] == "" {
		err1 = s.each(ctx, kinds.Namespace, "", func(o kinds.Object) { around.namespaces[o.GetName()] = o })
	} else {
		err1 = s.some(ctx, around)
	}
	err2 := s.each(ctx, kinds.StorageClass, "", func(o kinds.Object) { around.classes[o.GetName()] = o })
	around.readPods = func(ctx context.Context, namespace string, add func(kinds.Object)) (bool, error) {
		return s.pods(ctx, u, namespace, add)
	}
	around.volume = s.volumes(u)
	return around, errors.Join(err1, err2)
}

// some reads the named namespaces one by one.
func (s source) some(ctx context.Context, around *shared) error {
	for _, name := range s.in {
		namespace := kinds.Namespace.New()
		err := s.reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
		switch {
		case apierrors.IsForbidden(err):
			s.unknown(kinds.Namespace, "", err)
			return nil
		case apierrors.IsNotFound(err):
			return fmt.Errorf("namespace %s does not exist", name)
		case err != nil:
			return inNamespace(name, err)
		}
		namespace.GetObjectKind().SetGroupVersionKind(kinds.Namespace.GroupVersionKind)
		around.namespaces[name] = namespace
	}
	return nil
}

// each calls visit with all objects of the kind, trimmed.
func (s source) each(ctx context.Context, k *kinds.Kind, namespace string, visit func(kinds.Object)) error {
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

// pods reads the Pods of a namespace.
func (s source) pods(ctx context.Context, u *unknown, namespace string, add func(kinds.Object)) (bool, error) {
	if s.in[0] == "" && u.has(kinds.Pod, "") {
		return false, nil
	}
	err := s.each(ctx, kinds.Pod, namespace, add)
	return err == nil && !u.has(kinds.Pod, namespace), err
}

// volumes returns a function that returns a volume. It lists all volumes on first use.
func (s source) volumes(u *unknown) func(context.Context, string) (kinds.Object, bool, error) {
	var read map[string]kinds.Object
	return func(ctx context.Context, name string) (kinds.Object, bool, error) {
		if read == nil {
			volumes := map[string]kinds.Object{}
			if err := s.each(ctx, kinds.PersistentVolume, "", func(o kinds.Object) { volumes[o.GetName()] = o }); err != nil {
				return nil, false, err
			}
			read = volumes
		}
		return read[name], !u.has(kinds.PersistentVolume, ""), nil
	}
}
