package manifests

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
)

// index finds the objects of a set by name.
type index struct {
	kinds map[inNamespace][]*Document
	names map[policies.Ref][]*Document
	// valued has the places in kinds of the documents with a value of an Index, once requested.
	valued map[indexIn]map[string][]int
	mutex  sync.Mutex
	// folders are the contested objects of each folder. See File.contested.
	folders map[string][]int
	// together means that every file sees every other file.
	together bool
	// complete means that an object that is not in the set does not exist, if files can hold its kind.
	complete bool
	// live, if set, is asked for objects that are not in the files.
	live policies.Cluster
	// tell is called once, by forbidden, for each resource that cannot be read.
	tell      func(error)
	forbidden sync.Map
}

type inNamespace struct{ kind, namespace string }

type indexIn struct {
	*policies.Index
	namespace string
}

// identity returns what identifies an object: everything but the version of its kind.
func identity(o kinds.Object) policies.Ref {
	ref := policies.RefTo(o)
	ref.APIVersion = ""
	return ref
}

// shared are the kinds that sets of files for several environments have in common.
var shared = []string{"Namespace", "StorageClass", "StatefulPolicy"}

func newIndex(documents []*Document, together bool) *index {
	x := &index{
		kinds: map[inNamespace][]*Document{}, names: map[policies.Ref][]*Document{}, valued: map[indexIn]map[string][]int{},
		folders: map[string][]int{}, together: together,
	}
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

// cluster is what one file sees of a set: everything but its alternatives. Two folders with the same object, such as those of two
// environments, are alternatives, as are two such files in one folder. Of several objects with the same name, it sees the nearest.
type cluster struct {
	policies.Nobody
	*index
	from *File
}

var (
	_ policies.Cluster   = cluster{}
	_ policies.Narrowing = cluster{}
)

func (c cluster) sees(f *File) bool {
	switch {
	case c.together || f == c.from:
		return true
	case f.Folder == c.from.Folder:
		return !common(f.contested, c.from.contested)
	}
	return !common(c.folders[f.Folder], c.folders[c.from.Folder])
}

// common reports whether two ascending lists share a number.
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

// nearness orders files by distance: the file itself, its folder, then others by how much of the path they share.
func (c cluster) nearness(f *File) int {
	const itself, sameFolder = 1 << 30, 1 << 29
	switch {
	case f == c.from:
		return itself
	case f.Folder == c.from.Folder:
		return sameFolder
	}
	n := 0
	a, b := strings.Split(f.Folder, string(filepath.Separator)), strings.Split(c.from.Folder, string(filepath.Separator))
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// nearest returns the nearest of these documents that the file sees, or nil.
func (c cluster) nearest(documents []*Document) *Document {
	var found *Document
	for _, d := range documents {
		if c.sees(d.File) && (found == nil || c.nearness(d.File) > c.nearness(found.File)) {
			found = d
		}
	}
	return found
}

// Get returns the object with this name, from the files or else from the live cluster, if there is one.
func (c cluster) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	if d := c.nearest(c.names[policies.Ref{Kind: kind.Kind, Namespace: namespace, Name: name}]); d != nil && kinds.Of(d.Object) == kind {
		return d.Object, true, nil
	}
	if c.live != nil {
		o, known, err := c.live.Get(kind, namespace, name)
		return c.permitted(kind, namespace, o, known, err)
	}
	return nil, c.knowsAll(kind), nil
}

// knowsAll reports whether an object that is not in the files does not exist. Files never have Pods, nodes, or claims of
// StatefulSets, which the controller creates.
func (c cluster) knowsAll(kind *kinds.Kind) bool {
	return c.complete && !kind.Live && kind != kinds.PersistentVolumeClaim
}

// List returns the objects of a namespace, including those that are only live.
func (c cluster) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	var found []kinds.Object
	names := map[string]bool{}
	for _, d := range c.kinds[inNamespace{kind.Kind, namespace}] {
		if c.has(d, kind) {
			names[d.Object.GetName()] = true
			if selector.Matches(labels.Set(d.Object.GetLabels())) {
				found = append(found, d.Object)
			}
		}
	}
	if c.live == nil {
		return found, c.knowsAll(kind), nil
	}
	more, known, err := c.live.List(kind, namespace, selector)
	for _, o := range more {
		if !names[o.GetName()] {
			found = append(found, o)
		}
	}
	if c.refused(kind, namespace, err) {
		return found, false, nil
	}
	return found, known, err
}

// has reports whether the file sees the document, and its object is of the kind.
func (c cluster) has(d *Document, kind *kinds.Kind) bool {
	if kinds.Of(d.Object) != kind || !c.sees(d.File) {
		return false
	}
	same := c.names[identity(d.Object)]
	return len(same) == 1 || c.nearest(same) == d
}

// Narrow looks only at the documents with the values, or judging n objects would look at n² of them.
func (c cluster) Narrow(index *policies.Index, namespace string, values []string) ([]kinds.Object, bool, error) {
	if c.live != nil {
		return c.List(index.Kind, namespace, labels.Everything())
	}
	documents, of := c.kinds[inNamespace{index.Kind.Kind, namespace}], c.places(index, namespace)
	var places []int
	for _, value := range values {
		places = append(places, of[value]...)
	}
	slices.Sort(places)
	var found []kinds.Object
	for _, at := range slices.Compact(places) {
		if d := documents[at]; c.has(d, index.Kind) {
			found = append(found, d.Object)
		}
	}
	return found, c.knowsAll(index.Kind), nil
}

// places returns the places of a namespace's documents in kinds, by their values.
func (x *index) places(index *policies.Index, namespace string) map[string][]int {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	of, ok := x.valued[indexIn{index, namespace}]
	if !ok {
		of = map[string][]int{}
		for i, d := range x.kinds[inNamespace{index.Kind.Kind, namespace}] {
			if kinds.Of(d.Object) != index.Kind {
				continue
			}
			for _, value := range index.Of(d.Object) {
				of[value] = append(of[value], i)
			}
		}
		x.valued[indexIn{index, namespace}] = of
	}
	return of
}

// permitted returns unknown if the error says that the object cannot be read.
func (x *index) permitted(kind *kinds.Kind, namespace string, o kinds.Object, known bool, err error) (kinds.Object, bool, error) {
	if x.refused(kind, namespace, err) {
		return nil, false, nil
	}
	return o, known, err
}

// refused reports whether the cluster forbids the read, and reports that once for each kind and namespace.
func (x *index) refused(kind *kinds.Kind, namespace string, err error) bool {
	if !apierrors.IsForbidden(err) {
		return false
	}
	if x.tell != nil {
		if _, told := x.forbidden.LoadOrStore(inNamespace{kind.Kind, namespace}, true); !told {
			x.tell(err)
		}
	}
	return true
}

// autoscaled reports whether an autoscaler in the files scales the StatefulSet.
func (c cluster) autoscaled(set *appsv1.StatefulSet) bool {
	for _, autoscaler := range []string{"HorizontalPodAutoscaler", "ScaledObject"} {
		for _, d := range c.kinds[inNamespace{autoscaler, set.Namespace}] {
			if kind, name := scales(d.Object); kind == "StatefulSet" && name == set.Name && c.sees(d.File) {
				return true
			}
		}
	}
	return false
}

// stored returns the live object of the document, or nil if there is none or no live cluster.
func (c cluster) stored(o kinds.Object) (kinds.Object, error) {
	kind := kinds.Of(o)
	if c.live == nil || kind != kinds.StatefulSet && kind != kinds.Service {
		return nil, nil
	}
	live, _, err := c.live.Get(kind, o.GetNamespace(), o.GetName())
	older, _, err := c.permitted(kind, o.GetNamespace(), live, true, err)
	if older == nil || err != nil {
		return nil, err
	}
	// A client drops the kind that it requested, and protobuf that of the claim templates.
	kinds.Normalise(older)
	older.GetObjectKind().SetGroupVersionKind(kind.GroupVersionKind)
	return older, nil
}
