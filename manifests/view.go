package manifests

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies"
)

// index finds the objects of a set by their names.
type index struct {
	kinds map[inNamespace][]*Document
	names map[policies.Ref][]*Document
	// folders are the contested objects of each folder. See File.contested.
	folders map[string][]int
	// together tells that every file sees every other.
	together bool
	// complete tells that an object that is not in the set does not exist, so far as files can hold it.
	complete bool
	// live is asked for what is not among the files, if set.
	live policies.Cluster
	// tell is told once, by forbidden, of each that may not be asked for.
	tell      func(error)
	forbidden sync.Map
}

type inNamespace struct{ kind, namespace string }

// identity is what makes two documents the same object: not the version of its kind.
func identity(o policies.Object) policies.Ref {
	ref := policies.RefTo(o)
	ref.APIVersion = ""
	return ref
}

// shared are the kinds that sets of files for several places hold alike.
var shared = []string{"Namespace", "StorageClass", "StatefulPolicy"}

func newIndex(documents []*Document, together bool) *index {
	x := &index{kinds: map[inNamespace][]*Document{}, names: map[policies.Ref][]*Document{}, folders: map[string][]int{}, together: together}
	for _, d := range documents {
		ref := identity(d.Object)
		x.kinds[inNamespace{ref.Kind, ref.Namespace}] = append(x.kinds[inNamespace{ref.Kind, ref.Namespace}], d)
		x.names[ref] = append(x.names[ref], d)
	}
	if together {
		return x
	}
	contest := 0
	for ref, same := range x.names {
		if len(same) == 1 || slices.Contains(shared, ref.Kind) {
			continue
		}
		contest++
		for _, d := range same {
			if f := d.File; len(f.contested) == 0 || f.contested[len(f.contested)-1] != contest {
				f.contested = append(f.contested, contest)
			}
			if of := x.folders[d.File.Folder]; len(of) == 0 || of[len(of)-1] != contest {
				x.folders[d.File.Folder] = append(of, contest)
			}
		}
	}
	return x
}

// view is what one file sees of a set: everything but its alternatives. Two folders that hold the same object, such as
// those of two environments, are alternatives, and so are two such files of one folder. Of several objects of one name it
// sees the nearest.
type view struct {
	*index
	from *File
}

var _ policies.Cluster = view{}

func (v view) sees(f *File) bool {
	switch {
	case v.together || f == v.from:
		return true
	case f.Folder == v.from.Folder:
		return !common(f.contested, v.from.contested)
	}
	return !common(v.folders[f.Folder], v.folders[v.from.Folder])
}

// common tells whether two ascending lists have a number in common.
func common(a, b []int) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			return true
		case a[0] < b[0]:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// nearness orders files by how near they are: the file itself, its folder, and the rest by how much of the path is the same.
func (v view) nearness(f *File) int {
	const itself, sameFolder = 1 << 30, 1 << 29
	switch {
	case f == v.from:
		return itself
	case f.Folder == v.from.Folder:
		return sameFolder
	}
	n := 0
	a, b := strings.Split(f.Folder, string(filepath.Separator)), strings.Split(v.from.Folder, string(filepath.Separator))
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// nearest returns the nearest of these documents that the file sees, or nil.
func (v view) nearest(documents []*Document) *Document {
	var found *Document
	for _, d := range documents {
		if v.sees(d.File) && (found == nil || v.nearness(d.File) > v.nearness(found.File)) {
			found = d
		}
	}
	return found
}

// find returns the object of that name. One that is not among the files is asked for live, where there is a cluster to ask.
func find[T policies.Object](v view, kind, resource, namespace, name string, live func(policies.Cluster) (T, error)) (T, error) {
	if d := v.nearest(v.names[policies.Ref{Kind: kind, Namespace: namespace, Name: name}]); d != nil {
		if o, ok := d.Object.(T); ok {
			return o, nil
		}
	}
	var none T
	switch {
	case v.live != nil:
		o, err := live(v.live)
		return o, v.permitted(err)
	case v.complete:
		return none, apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
	}
	return none, policies.ErrUnknown
}

// all returns the objects of a namespace, with those that are only live. Where there may be others the error is ErrUnknown.
func all[T policies.Object](v view, kind, namespace string, live func(policies.Cluster) ([]T, error)) ([]T, error) {
	var found []T
	for _, d := range v.kinds[inNamespace{kind, namespace}] {
		o, ok := d.Object.(T)
		if !ok || !v.sees(d.File) {
			continue
		}
		if same := v.names[identity(o)]; len(same) == 1 || v.nearest(same) == d {
			found = append(found, o)
		}
	}
	if v.live == nil {
		if v.complete {
			return found, nil
		}
		return found, policies.ErrUnknown
	}
	more, err := live(v.live)
	for _, o := range more {
		if !slices.ContainsFunc(found, func(f T) bool { return f.GetName() == o.GetName() }) {
			found = append(found, o)
		}
	}
	return found, v.permitted(err)
}

// permitted returns the error of a live read, or ErrUnknown where the cluster lets nobody know.
func (x *index) permitted(err error) error {
	if !apierrors.IsForbidden(err) {
		return err
	}
	if x.tell != nil {
		// The name is all that differs between two of one resource.
		what, _, _ := strings.Cut(err.Error(), " ")
		_, where, _ := strings.Cut(err.Error(), ": ")
		if _, told := x.forbidden.LoadOrStore(what+where, true); !told {
			x.tell(err)
		}
	}
	return policies.ErrUnknown
}

func (v view) Namespace(name string) (*corev1.Namespace, error) {
	return find(v, "Namespace", "namespaces", "", name, func(c policies.Cluster) (*corev1.Namespace, error) { return c.Namespace(name) })
}

func (v view) Service(namespace, name string) (*corev1.Service, error) {
	return find(v, "Service", "services", namespace, name, func(c policies.Cluster) (*corev1.Service, error) { return c.Service(namespace, name) })
}

func (v view) StatefulSet(namespace, name string) (*appsv1.StatefulSet, error) {
	return find(v, "StatefulSet", "statefulsets", namespace, name, func(c policies.Cluster) (*appsv1.StatefulSet, error) { return c.StatefulSet(namespace, name) })
}

func (v view) Claim(namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return find(v, "PersistentVolumeClaim", "persistentvolumeclaims", namespace, name,
		func(c policies.Cluster) (*corev1.PersistentVolumeClaim, error) { return c.Claim(namespace, name) })
}

func (v view) StatefulSets(namespace string) ([]*appsv1.StatefulSet, error) {
	return all(v, "StatefulSet", namespace, func(c policies.Cluster) ([]*appsv1.StatefulSet, error) { return c.StatefulSets(namespace) })
}

func (v view) Budgets(namespace string) ([]*policyv1.PodDisruptionBudget, error) {
	return all(v, "PodDisruptionBudget", namespace, func(c policies.Cluster) ([]*policyv1.PodDisruptionBudget, error) { return c.Budgets(namespace) })
}

func (v view) StorageClasses() ([]*storagev1.StorageClass, error) {
	return all(v, "StorageClass", "", policies.Cluster.StorageClasses)
}

// Pods are never among files.
func (v view) Pods(namespace string, selector labels.Selector) ([]*corev1.Pod, error) {
	if v.live == nil {
		return nil, policies.ErrUnknown
	}
	found, err := v.live.Pods(namespace, selector)
	return found, v.permitted(err)
}

// Claims of StatefulSets are made by their controller, so that no files know them all.
func (v view) Claims(namespace string) ([]*corev1.PersistentVolumeClaim, error) {
	if v.live == nil {
		return nil, policies.ErrUnknown
	}
	found, err := v.live.Claims(namespace)
	return found, v.permitted(err)
}

// Node is never among files.
func (v view) Node(name string) (*corev1.Node, error) {
	if v.live == nil {
		return nil, policies.ErrUnknown
	}
	found, err := v.live.Node(name)
	return found, v.permitted(err)
}

// MayBypass is unknown: nobody knows who will apply the files.
func (v view) MayBypass(string) (bool, error) { return false, policies.ErrUnknown }

// autoscaled tells whether an autoscaler among the files scales the StatefulSet.
func (v view) autoscaled(set *appsv1.StatefulSet) bool {
	for _, autoscaler := range []string{"HorizontalPodAutoscaler", "ScaledObject"} {
		for _, d := range v.kinds[inNamespace{autoscaler, set.Namespace}] {
			if kind, name := scales(d.Object); kind == "StatefulSet" && name == set.Name && v.sees(d.File) {
				return true
			}
		}
	}
	return false
}

// stored returns the live object of the document's name, or nil where there is none, or nobody to ask.
func (v view) stored(o policies.Object) (policies.Object, error) {
	if v.live == nil {
		return nil, nil
	}
	var older policies.Object
	var err error
	switch o.(type) {
	case *appsv1.StatefulSet:
		older, err = v.live.StatefulSet(o.GetNamespace(), o.GetName())
	case *corev1.Service:
		older, err = v.live.Service(o.GetNamespace(), o.GetName())
	default:
		return nil, nil
	}
	if err = v.permitted(err); err != nil {
		if apierrors.IsNotFound(err) || errors.Is(err, policies.ErrUnknown) {
			err = nil
		}
		return nil, err
	}
	// A client leaves out what it asked for, and protobuf the kind of each claim template.
	policies.Normalise(older)
	older.GetObjectKind().SetGroupVersionKind(o.GetObjectKind().GroupVersionKind())
	return older, nil
}
