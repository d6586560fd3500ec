package policies

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// clampWithin is how far below the present replicas a safe number is looked for; who wants less is asked to come again.
const clampWithin = 1000

// clamp raises the replicas that an autoscaler asks for to the smallest number that no rule which clamps refuses under any of
// the policies, at most to the present one. It does so only where one of the policies says so, and only where the request
// would be refused as it is. Safety does not grow with the number (a member that is down counts only where it stays), so that
// every number has its turn.
func clamp(rules []Rule, chosen []applied, ch Change, c Cluster) (Filled, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || older.Spec.Replicas == nil || newer.Spec.Replicas == nil {
		return Filled{}, nil
	}
	now, asked := *older.Spec.Replicas, *newer.Spec.Replicas
	rule, policy, ok := clamping(rules, chosen, ch)
	if !ok || asked < 0 || asked >= now {
		return Filled{}, nil
	}
	c = &memory{Cluster: c, got: map[string]answer[kinds.Object]{}, listed: map[string]answer[[]kinds.Object]{}, may: map[string]answer[bool]{}, owners: map[string]answer[*metav1.PartialObjectMetadata]{}}
	refused := func(replicas int32) (bool, error) {
		tried := *newer
		tried.Spec.Replicas = &replicas
		ch.New = &tried
		verdict, err := judgeBy([]Rule{rule}, chosen, ch, c)
		return verdict.Denied(), err
	}
	if no, err := refused(asked); !no || err != nil {
		return Filled{}, err
	}
	safe := max(asked, now-clampWithin)
	for ; safe < now; safe++ {
		if no, err := refused(safe); err != nil {
			return Filled{}, err
		} else if !no {
			break
		}
	}
	return Filled{
		Fields: []FilledField{{Path: "spec.replicas", Rule: rule.ID, Policy: policy.Name, Value: safe}},
		Patch:  []Operation{{Op: "add", Path: "/spec/replicas", Value: safe}},
	}, nil
}

// clamping returns the rule and the policy that want the request clamped rather than refused, if any do.
func clamping(rules []Rule, chosen []applied, ch Change) (Rule, applied, bool) {
	for _, policy := range chosen {
		if policy.mode == v1alpha1.ModeAudit {
			continue
		}
		for _, rule := range rules {
			if rule.clamps(ch, &policy.Spec.Rules) {
				return rule, policy, true
			}
		}
	}
	return Rule{}, applied{}, false
}

// memory is a Cluster that is asked everything once, however many numbers are tried.
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
	return recall(m.listed, kind.Resource+" "+namespace+" "+selector.String(), func() ([]kinds.Object, bool, error) { return m.Cluster.List(kind, namespace, selector) })
}

func (m *memory) MayBypass(policy, namespace string) (bool, bool, error) {
	return recall(m.may, "bypass "+policy, func() (bool, bool, error) { return m.Cluster.MayBypass(policy, namespace) })
}

func (m *memory) MayOperate(namespace string, owner metav1.OwnerReference) (bool, bool, error) {
	return recall(m.may, "operate "+string(owner.UID), func() (bool, bool, error) { return m.Cluster.MayOperate(namespace, owner) })
}

func (m *memory) Owner(namespace string, owner metav1.OwnerReference) (*metav1.PartialObjectMetadata, bool, error) {
	return recall(m.owners, string(owner.UID), func() (*metav1.PartialObjectMetadata, bool, error) { return m.Cluster.Owner(namespace, owner) })
}

// recall returns what was answered before, or asks. A failing read ends the search.
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
