package policies

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// Remember returns a Cluster that asks each question only once, for any number of rules, policies and numbers tried. It serves one
// request, and is not safe for concurrent use.
func Remember(c Cluster) Cluster {
	return &memory{
		Cluster: c, got: map[string]answer[kinds.Object]{}, listed: map[string]answer[[]kinds.Object]{},
		may: map[string]answer[bool]{}, owners: map[string]answer[*metav1.PartialObjectMetadata]{},
	}
}

type memory struct {
	Cluster
	got    map[string]answer[kinds.Object]
	listed map[string]answer[[]kinds.Object]
	may    map[string]answer[bool]
	owners map[string]answer[*metav1.PartialObjectMetadata]
}

type answer[T any] struct {
	value T
	known bool
}

func (m *memory) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	return recall(m.got, kind.Resource+" "+namespace+"/"+name, func() (kinds.Object, bool, error) { return m.Cluster.Get(kind, namespace, name) })
}

func (m *memory) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	// The selectors for everything and for nothing have the same text.
	question := fmt.Sprintf("%s %s %t %s", kind.Resource, namespace, selector.Empty(), selector)
	return recall(m.listed, question, func() ([]kinds.Object, bool, error) { return m.Cluster.List(kind, namespace, selector) })
}

func (m *memory) Seen(index *Index, namespace, value string) ([]kinds.Object, bool) {
	if indexed, ok := m.Cluster.(Indexed); ok {
		return indexed.Seen(index, namespace, value)
	}
	return nil, false
}

func (m *memory) Above(namespace string, owner metav1.OwnerReference) ([]metav1.OwnerReference, bool, error) {
	return Above(m.Cluster, namespace, owner)
}

func (m *memory) PodsOn(node string) ([]kinds.Object, error) {
	pods, _, err := recall(m.listed, "pods on "+node, func() ([]kinds.Object, bool, error) {
		pods, err := podsOn(node, m.Cluster)
		return pods, true, err
	})
	return pods, err
}

func (m *memory) Walk(kind *kinds.Kind, namespace string, visit func(kinds.Object) bool) (bool, error) {
	return walk(m.Cluster, kind, namespace, visit)
}

func (m *memory) MayBypass(policy, namespace string) (bool, bool, error) {
	return recall(m.may, "bypass "+namespace+"/"+policy, func() (bool, bool, error) { return m.Cluster.MayBypass(policy, namespace) })
}

func (m *memory) MayOperate(namespace string, owner metav1.OwnerReference) (bool, bool, error) {
	return recall(m.may, "operate "+string(owner.UID), func() (bool, bool, error) { return m.Cluster.MayOperate(namespace, owner) })
}

func (m *memory) Owner(namespace string, owner metav1.OwnerReference) (*metav1.PartialObjectMetadata, bool, error) {
	return recall(m.owners, string(owner.UID), func() (*metav1.PartialObjectMetadata, bool, error) { return m.Cluster.Owner(namespace, owner) })
}

// recall returns the recorded answer, or asks. A failed read ends the search.
func recall[T any](answers map[string]answer[T], question string, ask func() (T, bool, error)) (T, bool, error) {
	if a, ok := answers[question]; ok {
		return a.value, a.known, nil
	}
	value, known, err := ask()
	if err == nil {
		answers[question] = answer[T]{value, known}
	}
	return value, known, err
}
