package policies

import (
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// autoscalers are who counts as one where a policy names nobody: the HorizontalPodAutoscaler's controller, with an account
// of its own and without, and KEDA.
var autoscalers = []string{
	"system:serviceaccount:kube-system:horizontal-pod-autoscaler",
	"system:kube-controller-manager",
	"system:serviceaccount:keda:keda-operator",
}

// clampWithin is how far below the present replicas a safe number is looked for; who wants less is asked to come again.
const clampWithin = 1000

// clamp raises the replicas that an autoscaler asks for to the smallest number that scale-down does not refuse under any
// of the policies, at most to the present one. It does so only where one of them says so, and only where the request would
// be refused as it is. Safety does not grow with the number (a member that is down counts only where it stays), so that
// every number has its turn.
func clamp(chosen []applied, ch Change, c Cluster) (Filled, error) {
	older, newer, ok := statefulSets(ch)
	i := slices.IndexFunc(chosen, func(policy applied) bool { return policy.clamps(ch) })
	if !ok || i < 0 || older.Spec.Replicas == nil || newer.Spec.Replicas == nil {
		return Filled{}, nil
	}
	now, asked := *older.Spec.Replicas, *newer.Spec.Replicas
	if asked < 0 || asked >= now {
		return Filled{}, nil
	}
	c = memory{c, map[string]any{}}
	refused := func(replicas int32) (bool, error) {
		tried := *newer
		tried.Spec.Replicas = &replicas
		ch.New = &tried
		verdict, err := judgeBy([]Rule{scaleDown}, chosen, ch, c)
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
		Fields: []FilledField{{Path: "spec.replicas", Rule: scaleDown.ID, Policy: chosen[i].Name, Value: safe}},
		Patch:  []Operation{{Op: "add", Path: "/spec/replicas", Value: safe}},
	}, nil
}

// clamps tells whether the policy wants the request clamped rather than refused.
func (a applied) clamps(ch Change) bool {
	p := a.Spec.Rules.ScaleDown
	if p == nil || p.Autoscaler != v1alpha1.AutoscalerClamp || p.Action == v1alpha1.Off || a.mode == v1alpha1.ModeAudit ||
		ownedByOperator(ch.New) && a.Spec.OperatorOwned != v1alpha1.OperatorOwnedEnforce {
		return false
	}
	users := p.Autoscalers
	if len(users) == 0 {
		users = autoscalers
	}
	return slices.Contains(users, ch.User.Username)
}

// memory is a Cluster that is asked everything scale-down wants to know once, however many numbers are tried.
type memory struct {
	Cluster
	answers map[string]any
}

func (m memory) Pods(namespace string, selector labels.Selector) ([]*corev1.Pod, error) {
	return recall(m, "pods "+namespace+" "+selector.String(), func() ([]*corev1.Pod, error) { return m.Cluster.Pods(namespace, selector) })
}

func (m memory) Claims(namespace string) ([]*corev1.PersistentVolumeClaim, error) {
	return recall(m, "claims "+namespace, func() ([]*corev1.PersistentVolumeClaim, error) { return m.Cluster.Claims(namespace) })
}

func (m memory) Budgets(namespace string) ([]*policyv1.PodDisruptionBudget, error) {
	return recall(m, "budgets "+namespace, func() ([]*policyv1.PodDisruptionBudget, error) { return m.Cluster.Budgets(namespace) })
}

func (m memory) MayBypass(policy string) (bool, error) {
	return recall(m, "bypass "+policy, func() (bool, error) { return m.Cluster.MayBypass(policy) })
}

// recall returns what was answered before, or asks. A failing read ends the search, and what cannot be known stays so.
func recall[T any](m memory, question string, ask func() (T, error)) (T, error) {
	type answer struct {
		value   T
		unknown bool
	}
	if known, ok := m.answers[question].(answer); ok {
		if known.unknown {
			return known.value, ErrUnknown
		}
		return known.value, nil
	}
	value, err := ask()
	if err == nil || errors.Is(err, ErrUnknown) {
		m.answers[question] = answer{value, err != nil}
	}
	return value, err
}
