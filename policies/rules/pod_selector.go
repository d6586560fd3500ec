package rules

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var podSelector = policies.Rule{
	ID:    "pod-selector",
	Title: "A StatefulSet selects its own Pods, and no others",
	Doc: `A StatefulSet finds its Pods by their names and by the labels in its selector. A Pod that has the name but not the labels blocks the
StatefulSet: the controller can neither adopt that Pod nor create another with the same name. This happens when somebody changes the labels
of a running Pod, or when a StatefulSet that was deleted with --cascade=orphan is created again with another selector. Two StatefulSets
of which one selects the Pods of the other keep their own Pods, but Services, PodDisruptionBudgets and autoscalers select the Pods of both.
Deployments are not compared: their ReplicaSets also select by pod-template-hash.`,
	Severity: policies.Medium,
	On: []policies.Trigger{
		policies.On(kinds.StatefulSet, create, update),
		policies.On(kinds.Pod, update),
	},
	Checks: []policies.Check{
		{Name: "not-selected", Doc: "the new StatefulSet does not select a running Pod that has one of its names"},
		{Name: "relabeled", Doc: "a running Pod loses a label that its StatefulSet selects"},
		{Name: "shared", Doc: "another StatefulSet has the same selector (a warning at most)"},
		{Name: "overlapping", Doc: "the selector of one StatefulSet selects the Pods of another (a warning at most)"},
	},
	Logic: policies.Typed[v1alpha1.PodSelector]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.PodSelector { return &r.PodSelector },
		Baseline:   &v1alpha1.PodSelector{Enforcement: warn},
		Restricted: &v1alpha1.PodSelector{Enforcement: deny},
		Object:     selectsNoOthers,
		Change:     keepsItsPods,
	},
}

func selectsNoOthers(o kinds.Object, c policies.Cluster, p v1alpha1.PodSelector) ([]policies.Finding, error) {
	set, ok := o.(*appsv1.StatefulSet)
	if !ok {
		return nil, nil
	}
	others, err := policies.Overlapping(set, c)
	if len(others) == 0 || err != nil {
		return nil, err
	}
	f := policies.Finding{
		Check: "overlapping", Path: "spec.selector", Action: p.Action.AtMost(v1alpha1.Warn),
		Remedy: "give each its own label, in spec.selector and in the Pod template. You cannot change the selector later.",
	}
	same := slices.DeleteFunc(slices.Clone(others), func(other *appsv1.StatefulSet) bool {
		return !equality.Semantic.DeepEqual(other.Spec.Selector, set.Spec.Selector)
	})
	if len(same) > 0 {
		f.Check = "shared"
		f.Message = fmt.Sprintf("StatefulSet %s has the same selector as %s (%s): Services and budgets select the Pods of both.",
			set.Name, words.Names(same), metav1.FormatLabelSelector(set.Spec.Selector))
		if statefulset.KeepsData(set) && statefulset.KeepsData(same[0]) {
			f.Message += fmt.Sprintf(" The data of %s stays in its claims.", same[0].Name)
		}
		return []policies.Finding{f}, nil
	}
	wide, narrow := set, others[0]
	if !statefulset.Selects(wide.Spec.Selector, narrow.Spec.Template.Labels) {
		wide, narrow = narrow, wide
	}
	f.Message = fmt.Sprintf("The selector of StatefulSet %s (%s) selects the Pods of StatefulSet %s too: Services and budgets that use it select the Pods of both.",
		wide.Name, metav1.FormatLabelSelector(wide.Spec.Selector), narrow.Name)
	return []policies.Finding{f}, nil
}

func keepsItsPods(ch policies.Change, c policies.Cluster, _ v1alpha1.PodSelector) ([]policies.Finding, error) {
	switch o := ch.New.(type) {
	case *corev1.Pod:
		return staysSelected(ch.Old.(*corev1.Pod), o, ch, c)
	case *appsv1.StatefulSet:
		if ch.Old == nil {
			return adoptsPods(o, c)
		}
	}
	return nil, nil
}

// adoptsPods checks only the first Pod: without it no other is created.
func adoptsPods(set *appsv1.StatefulSet, c policies.Cluster) ([]policies.Finding, error) {
	ordinals := statefulset.OrdinalsOf(set)
	if ordinals.Count() == 0 {
		return nil, nil
	}
	pod, err := policies.PodNamed(set.Namespace, statefulset.PodName(set, ordinals.Start), c)
	if pod == nil || pod.DeletionTimestamp != nil || statefulset.Finished(pod) || statefulset.Selects(set.Spec.Selector, pod.Labels) || err != nil {
		return nil, err
	}
	return []policies.Finding{{
		Check: "not-selected", Path: "spec.selector",
		Message: fmt.Sprintf("StatefulSet %[2]s does not select Pod %[1]s, which has its name: it can neither adopt the Pod nor create it. Selector: %[3]s.",
			pod.Name, set.Name, metav1.FormatLabelSelector(set.Spec.Selector)),
		Remedy: fmt.Sprintf("use the selector that the Pods were created with. To see their labels: %s get pod %s --show-labels", policies.Kubectl(set), pod.Name),
	}}, nil
}

func staysSelected(older, newer *corev1.Pod, ch policies.Change, c policies.Cluster) ([]policies.Finding, error) {
	if older.DeletionTimestamp != nil || statefulset.Finished(older) {
		return nil, nil
	}
	set, err := policies.StatefulSetOf(older, c)
	if set == nil || err != nil || !statefulset.Selects(set.Spec.Selector, older.Labels) || statefulset.Selects(set.Spec.Selector, newer.Labels) {
		return nil, err
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	selector := metav1.FormatLabelSelector(set.Spec.Selector)
	return []policies.Finding{{
		Check: "relabeled", Path: "metadata.labels",
		Message: fmt.Sprintf("StatefulSet %s (selector %s) loses Pod %s, and cannot create a replacement while the Pod exists.", set.Name, selector, older.Name),
		Remedy:  fmt.Sprintf("keep the labels of the selector: %s label pod %s %s --overwrite", policies.Kubectl(older), older.Name, strings.ReplaceAll(selectable(set).String(), ",", " ")),
	}}, nil
}
