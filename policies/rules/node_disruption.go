package rules

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var nodeDisruption = policies.Rule{
	ID:    "node-disruption",
	Title: "A node is drained before it goes",
	Doc: `kubectl drain evicts each Pod and respects PodDisruptionBudgets. Deleting a Node does not: its Pods are then deleted by force, while
a machine that is still ready keeps running them beside their replacements. A taint with the effect NoExecute evicts every Pod that does not
tolerate it at once, and ignores PodDisruptionBudgets. Mooring lets you delete a node that is not ready, has no members, or has a
finalizer, because the controller behind the finalizer, such as Karpenter, drains the node first. It never refuses the node controllers.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.Node, update, remove)},
	Checks: []policies.Check{
		{Name: "running", Doc: "a ready node that runs members is deleted"},
		{Name: "taint", Doc: "a taint evicts the majority of the members at once"},
	},
	Logic: policies.Typed[v1alpha1.NodeDisruption]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.NodeDisruption { return &r.NodeDisruption },
		Baseline:   &v1alpha1.NodeDisruption{Enforcement: warn},
		Restricted: &v1alpha1.NodeDisruption{Enforcement: deny},
		Change:     drainsFirst,
	},
}

func drainsFirst(ch policies.Change, c policies.Cluster, _ v1alpha1.NodeDisruption) ([]policies.Finding, error) {
	node := ch.Old.(*corev1.Node)
	if ch.ByController() || ch.ByNode() {
		return nil, nil
	}
	if tainted, ok := ch.New.(*corev1.Node); ok {
		return evictsMajority(tainted, newTaints(node, tainted), c)
	}
	if !nodeReady(node) || len(node.Finalizers) > 0 {
		return nil, nil
	}
	members, err := policies.MembersOn(node.Name, c)
	if len(members) == 0 || err != nil {
		return nil, err
	}
	return []policies.Finding{{
		Check: "running", Path: "metadata.name",
		Message: fmt.Sprintf("Node %s is ready and runs %s. After the delete, its Pods are deleted by force and can keep running beside their replacements.",
			node.Name, words.Names(members)),
		Remedy: drain(node),
	}}, nil
}

func nodeReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func drain(node *corev1.Node) string {
	return fmt.Sprintf("drain it first: kubectl drain %s --ignore-daemonsets --delete-emptydir-data", node.Name)
}

// newTaints returns the taints that evict Pods and that the update adds.
func newTaints(older, newer *corev1.Node) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(newer.Spec.Taints), func(t corev1.Taint) bool {
		return t.Effect != corev1.TaintEffectNoExecute || slices.ContainsFunc(older.Spec.Taints, func(was corev1.Taint) bool { return was.MatchTaint(&t) && was.Value == t.Value })
	})
}

func evictsMajority(node *corev1.Node, taints []corev1.Taint, c policies.Cluster) ([]policies.Finding, error) {
	if len(taints) == 0 {
		return nil, nil
	}
	members, err := policies.MembersOn(node.Name, c)
	if err != nil {
		return nil, err
	}
	going := map[string]bool{}
	var sets []*appsv1.StatefulSet
	for _, pod := range members {
		if !statefulset.Ready(pod) || toleratesAll(pod, taints) {
			continue
		}
		set, err := policies.StatefulSetOf(pod, c)
		if err != nil {
			return nil, err
		}
		going[pod.Namespace+"/"+pod.Name] = true
		if set != nil && !slices.ContainsFunc(sets, func(s *appsv1.StatefulSet) bool { return s.Namespace == set.Namespace && s.Name == set.Name }) {
			sets = append(sets, set)
		}
	}
	var found []policies.Finding
	for _, set := range sets {
		pods, known, err := policies.MembersOf(set, c)
		if !known || err != nil {
			return found, err
		}
		var before, after int64
		for _, pod := range pods {
			if statefulset.Ready(pod) {
				before++
				if !going[pod.Namespace+"/"+pod.Name] {
					after++
				}
			}
		}
		count := statefulset.OrdinalsOf(set).Count()
		needed := keptReady(count)
		if before < needed || after >= needed {
			continue
		}
		found = append(found, policies.Finding{
			Check: "taint", Path: "spec.taints",
			Message: fmt.Sprintf("Taint %s evicts %s of StatefulSet %s at once and ignores PodDisruptionBudgets: %d of %d stay ready, %d are needed.",
				taints[0].Key, words.Plural(before-after, "ready member"), set.Name, after, count, needed),
			Remedy: drain(node),
		})
	}
	return found, nil
}

func toleratesAll(pod *corev1.Pod, taints []corev1.Taint) bool {
	return !slices.ContainsFunc(taints, func(taint corev1.Taint) bool {
		return !slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return t.ToleratesTaint(klog.Background(), &taint, true) })
	})
}
