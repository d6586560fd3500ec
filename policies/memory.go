package policies

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// Remember returns a Cluster that asks each question only once, for any number of rules, policies and numbers tried. It serves one
// request, and is not safe for concurrent use.
func Remember(c Cluster) Cluster {
	return &memory{Cluster: c}
}

type memory struct {
	Cluster
	got    answers[kinds.Object]
	listed answers[[]kinds.Object]
	may    answers[bool]
	owners answers[*metav1.PartialObjectMetadata]
}

// question is what was asked: about a kind or a matter, in a namespace, by a name or what else tells it from others.
type question struct{ about, namespace, name string }

type answers[T any] map[question]answer[T]

type answer[T any] struct {
	value T
	known bool
}

func (m *memory) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	return m.got.recall(question{kind.Resource, namespace, name}, func() (kinds.Object, bool, error) { return m.Cluster.Get(kind, namespace, name) })
}

func (m *memory) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	// The selectors for everything and for nothing have the same text.
	asked := question{kind.Resource, namespace, selector.String()}
	if selector.Empty() {
		asked.about += " at all"
	}
	return m.listed.recall(asked, func() ([]kinds.Object, bool, error) { return m.Cluster.List(kind, namespace, selector) })
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
	pods, _, err := m.listed.recall(question{about: "pods on", name: node}, func() ([]kinds.Object, bool, error) {
		pods, err := podsOn(node, m.Cluster)
		return pods, true, err
	})
	return pods, err
}

func (m *memory) Walk(kind *kinds.Kind, namespace string, visit func(kinds.Object) bool) (bool, error) {
	return walk(m.Cluster, kind, namespace, visit)
}

func (m *memory) MayBypass(policy, namespace string) (bool, bool, error) {
	return m.may.recall(question{"bypass", namespace, policy}, func() (bool, bool, error) { return m.Cluster.MayBypass(policy, namespace) })
}

func (m *memory) MayOperate(namespace string, owner metav1.OwnerReference) (bool, bool, error) {
	return m.may.recall(question{"operate", namespace, string(owner.UID)}, func() (bool, bool, error) { return m.Cluster.MayOperate(namespace, owner) })
}

func (m *memory) Owner(namespace string, owner metav1.OwnerReference) (*metav1.PartialObjectMetadata, bool, error) {
	return m.owners.recall(question{"owner", namespace, string(owner.UID)}, func() (*metav1.PartialObjectMetadata, bool, error) { return m.Cluster.Owner(namespace, owner) })
}

// recall returns the recorded answer, or asks. A failed read ends the search.
func (all *answers[T]) recall(asked question, ask func() (T, bool, error)) (T, bool, error) {
	if a, ok := (*all)[asked]; ok {
		return a.value, a.known, nil
	}
	value, known, err := ask()
	if err == nil {
		if *all == nil {
			*all = answers[T]{}
		}
		(*all)[asked] = answer[T]{value, known}
	}
	return value, known, err
}
