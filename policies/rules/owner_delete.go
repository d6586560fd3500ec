package rules

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var ownerDelete = policies.Rule{
	ID:    "owner-delete",
	Title: "A custom resource does not take data along",
	Doc: `An operator makes a StatefulSet for a custom resource, which owns it. When the custom resource is deleted, the garbage
collector deletes what it owns: the StatefulSet with its Pods, and with whenDeleted: Delete, or where the custom resource owns the
claims, the data. Deleting a CustomResourceDefinition deletes all of its custom resources, in every namespace, and no webhook is asked
about these. Mooring reads from the ownerReferences which custom resources own StatefulSets and claims, and the API server asks it
about deletes of these alone. A delete that leaves what is owned behind (--cascade=orphan) passes, and so does that of an operator, of
the garbage collector, and in a namespace or for an owner that is being deleted. For what is in no namespace, the profiles and policies
of all namespaces that lose something hold, and the strictest decides.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.CustomResource, remove),
		policies.On(kinds.CustomResourceDefinition, remove),
	},
	Checks: []policies.Check{
		{Name: "data", Doc: "claims of StatefulSets, or of Pods that run for good, would be deleted"},
		{Name: "members", Doc: "StatefulSets would be deleted and ready Pods stop; their claims are kept"},
		{Name: "other-claims", Doc: "claims would be deleted that no StatefulSet has and no Pod that runs for good uses"},
	},
	Logic: policies.Typed[v1alpha1.OwnerDelete]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.OwnerDelete { return &r.OwnerDelete },
		Baseline:   &v1alpha1.OwnerDelete{Enforcement: deny, Members: v1alpha1.Warn, OtherClaims: v1alpha1.Warn},
		Restricted: &v1alpha1.OwnerDelete{Enforcement: deny, OtherClaims: v1alpha1.Warn},
		Change:     takesOwned,
	},
}

func takesOwned(ch policies.Change, c policies.Cluster, p v1alpha1.OwnerDelete) ([]policies.Finding, error) {
	// A CustomResourceDefinition takes its custom resources along whatever is asked for.
	orphans := kinds.Of(ch.Old) == kinds.CustomResource && ch.Orphans()
	if orphans || ch.Old.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	owned, err := policies.OwnedBy(ch.Old, c)
	if err != nil {
		return nil, err
	}
	lost, err := lossOf(owned, c)
	if err != nil {
		return nil, err
	}
	with, where := along(ch.Old, owned)
	var found []policies.Finding
	if len(lost.data) > 0 {
		things, their := sized(lost.data), "their"
		if len(owned.Sets) > 0 {
			things = counted("StatefulSet", owned.Sets) + " and " + things
		} else if len(lost.data) == 1 {
			their = "its"
		}
		found = append(found, policies.Finding{Check: "data", Action: p.Data, Message: fmt.Sprintf("%s, %s%s would be deleted, and %s data.", with, things, where, their)})
	} else if len(lost.ready) > 0 {
		found = append(found, policies.Finding{Check: "members", Action: p.Members, Message: fmt.Sprintf("%s, %s%s would be deleted, and %s stop (%s).",
			with, counted("StatefulSet", owned.Sets), where, words.Plural(len(lost.ready), "ready Pod"), words.Names(lost.ready))})
	}
	if len(lost.other) > 0 {
		found = append(found, policies.Finding{Check: "other-claims", Action: p.OtherClaims, Message: fmt.Sprintf("%s, %s%s would be deleted, which no StatefulSet has.", with, sized(lost.other), where)})
	}
	for i := range found {
		found[i].Path, found[i].Remedy = "metadata.name", wayThrough(ch.Old)
	}
	return found, nil
}

// loss is what of the owned is worth a word.
type loss struct {
	data, other []*corev1.PersistentVolumeClaim
	ready       []*corev1.Pod
}

// lossOf looks at Pods until it has found data: whether the other claims hold any then makes no difference, nor do members.
func lossOf(owned policies.Owned, c policies.Cluster) (loss, error) {
	var lost loss
	for _, claim := range owned.Claims {
		set := statefulset.Claimant(claim, owned.Sets)
		if len(lost.data) > 0 && set != nil {
			if !statefulset.Empty(claim, nil) {
				lost.data = append(lost.data, claim)
			}
			continue
		}
		user, err := memberOn(claim, c)
		if err != nil {
			return lost, err
		}
		if set == nil {
			if set, _, err = policies.ClaimantOf(claim, c); err != nil {
				return lost, err
			}
		}
		ofSet := user != nil || set != nil || statefulset.LeftBehind(claim) || statefulset.Named(claim)
		if !ofSet {
			// Operators run Pods without a StatefulSet too.
			if user, err = podOn(claim, c); err != nil {
				return lost, err
			}
		}
		switch {
		case statefulset.Empty(claim, user):
		case ofSet, user != nil && statefulset.Lasts(user):
			lost.data = append(lost.data, claim)
		default:
			lost.other = append(lost.other, claim)
		}
	}
	if len(lost.data) > 0 {
		return lost, nil
	}
	for _, set := range owned.Sets {
		pods, _, err := podsOf(set, c)
		if err != nil {
			return lost, err
		}
		for _, pod := range pods {
			if statefulset.Ready(pod) {
				lost.ready = append(lost.ready, pod)
			}
		}
	}
	return lost, nil
}

// podOn returns a Pod that uses the claim, be it a StatefulSet's or not, or nil.
func podOn(claim *corev1.PersistentVolumeClaim, c policies.Cluster) (*corev1.Pod, error) {
	pods, _, err := policies.List[*corev1.Pod](c, claim.Namespace)
	if i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool {
		return !statefulset.Finished(pod) && statefulset.Mounts(pod.Spec, claim.Name)
	}); i >= 0 {
		return pods[i], err
	}
	return nil, err
}

// along is the beginning of a sentence about what goes with the object, and the end of what goes: where that is.
func along(o kinds.Object, owned policies.Owned) (with, where string) {
	if o.GetNamespace() == "" {
		namespaces := owned.Namespaces()
		where = " in " + strings.TrimPrefix(words.Plural(len(namespaces), "namespace"), "1 ") + " "
		if len(namespaces) == 1 {
			where += namespaces[0]
		} else {
			where += "(" + words.List(namespaces) + ")"
		}
	}
	with = fmt.Sprintf("With %s %s", o.GetObjectKind().GroupVersionKind().Kind, o.GetName())
	if definition, ok := o.(*apiextensionsv1.CustomResourceDefinition); ok {
		with += " and every " + definition.Spec.Names.Kind
	}
	return with, where
}

// counted names one object, and counts more: "StatefulSet db", "2 StatefulSets (a and b)".
func counted[T kinds.Object](kind string, all []T) string {
	if len(all) == 1 {
		return kind + " " + all[0].GetName()
	}
	return fmt.Sprintf("%s (%s)", words.Plural(len(all), kind), words.Names(all))
}

// sized counts the claims, with their names and all that they ask for.
func sized(claims []*corev1.PersistentVolumeClaim) string {
	var sum resource.Quantity
	for _, claim := range claims {
		sum.Add(claim.Spec.Resources.Requests[corev1.ResourceStorage])
	}
	return fmt.Sprintf("%s (%s; %s)", words.Plural(len(claims), "claim"), words.Names(claims), sum.String())
}

// wayThrough says how to leave what is owned where it is, or that it is meant.
func wayThrough(o kinds.Object) string {
	meant := "If nobody needs the data, say so and try again: " + policies.BypassCommand("owner-delete", o)
	if kinds.Of(o) == kinds.CustomResourceDefinition {
		return fmt.Sprintf("keep it, which is also what a Helm chart does that has it under crds/. See what there is: kubectl get %s --all-namespaces. %s", o.GetName(), meant)
	}
	return fmt.Sprintf("to leave what it owns where it is: %s delete %s %s --cascade=orphan. %s", policies.Kubectl(o), kinds.Singular(o), o.GetName(), meant)
}
