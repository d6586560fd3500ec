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
	Title: "Deleting a custom resource does not delete data",
	Doc: `An operator creates a StatefulSet for a custom resource, which owns it. If you delete the custom resource, the
garbage collector deletes what it owns: the StatefulSet with its Pods, and the data too if whenDeleted is Delete or the custom
resource owns the claims. If you delete a CustomResourceDefinition, the API server deletes all of its custom resources in
every namespace, and calls no webhook for them. Mooring finds in ownerReferences which custom resources own StatefulSets and
claims, and the API server calls it only for deletes of these. A delete that keeps what is owned (--cascade=orphan) passes.
Deletes by an operator or the garbage collector pass too, and so do deletes in a namespace, or of an object with an owner,
that is being deleted. For a cluster-scoped custom resource, the profiles and policies of all namespaces that would lose
something apply, and the strictest decides.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.CustomResource, remove),
		policies.On(kinds.CustomResourceDefinition, remove),
	},
	Checks: []policies.Check{
		{Name: "data", Doc: "claims of StatefulSets, or of Pods that do not run to completion, would be deleted"},
		{Name: "members", Doc: "StatefulSets would be deleted and ready Pods would stop, but their claims stay"},
		{Name: "other-claims", Doc: "other claims would be deleted"},
	},
	Logic: policies.Typed[v1alpha1.OwnerDelete]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.OwnerDelete { return &r.OwnerDelete },
		Baseline:   &v1alpha1.OwnerDelete{Enforcement: deny, Members: v1alpha1.Warn, OtherClaims: v1alpha1.Warn},
		Restricted: &v1alpha1.OwnerDelete{Enforcement: deny, OtherClaims: v1alpha1.Warn},
		Change:     takesOwned,
	},
}

func takesOwned(ch policies.Change, c policies.Cluster, p v1alpha1.OwnerDelete) ([]policies.Finding, error) {
	// A CustomResourceDefinition always deletes its custom resources.
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
		found = append(found, policies.Finding{Check: "data", Action: p.Data, Message: fmt.Sprintf("%s deletes %s%s and %s data.", with, things, where, their)})
	} else if len(lost.ready) > 0 {
		found = append(found, policies.Finding{Check: "members", Action: p.Members, Message: fmt.Sprintf("%s deletes %s%s and stops %s (%s).",
			with, counted("StatefulSet", owned.Sets), where, words.Plural(len(lost.ready), "ready Pod"), words.Names(lost.ready))})
	}
	if len(lost.other) > 0 {
		found = append(found, policies.Finding{Check: "other-claims", Action: p.OtherClaims, Message: fmt.Sprintf("%s deletes %s%s, which no StatefulSet uses.", with, sized(lost.other), where)})
	}
	for i := range found {
		found[i].Path, found[i].Remedy = "metadata.name", wayThrough(ch.Old)
	}
	return found, nil
}

// loss is what is worth reporting of the owned objects.
type loss struct {
	data, other []*corev1.PersistentVolumeClaim
	ready       []*corev1.Pod
}

// lossOf reads Pods until it finds data. After that, other claims and members make no difference.
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
		user, err := policies.MemberOn(claim, c)
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
			// Operators also run Pods without a StatefulSet.
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
		pods, _, err := policies.MembersOf(set, c)
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

// podOn returns a Pod that uses the claim, of a StatefulSet or not, or nil.
func podOn(claim *corev1.PersistentVolumeClaim, c policies.Cluster) (*corev1.Pod, error) {
	pods, _, err := policies.List[*corev1.Pod](c, claim.Namespace)
	if i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return statefulset.Uses(pod, claim) }); i >= 0 {
		return pods[i], err
	}
	return nil, err
}

// along returns the beginning of a sentence about what is deleted with the object, and where that is.
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
	with = fmt.Sprintf("Deleting %s %s", o.GetObjectKind().GroupVersionKind().Kind, o.GetName())
	if definition, ok := o.(*apiextensionsv1.CustomResourceDefinition); ok {
		with += " and every " + definition.Spec.Names.Kind
	}
	return with, where
}

// counted names one object, or counts several: "StatefulSet db", "2 StatefulSets (a and b)".
func counted[T kinds.Object](kind string, all []T) string {
	if len(all) == 1 {
		return kind + " " + all[0].GetName()
	}
	return fmt.Sprintf("%s (%s)", words.Plural(len(all), kind), words.Names(all))
}

// sized counts the claims, with their names and total size.
func sized(claims []*corev1.PersistentVolumeClaim) string {
	var sum resource.Quantity
	for _, claim := range claims {
		sum.Add(claim.Spec.Resources.Requests[corev1.ResourceStorage])
	}
	return fmt.Sprintf("%s (%s; %s)", words.Plural(len(claims), "claim"), words.Names(claims), sum.String())
}

// wayThrough says how to keep what is owned, or how to confirm the delete.
func wayThrough(o kinds.Object) string {
	meant := "If nobody needs the data, annotate it and try again: " + policies.BypassCommand("owner-delete", o)
	if kinds.Of(o) == kinds.CustomResourceDefinition {
		return fmt.Sprintf("keep it, as Helm does with CRDs under crds/. List its objects: kubectl get %s --all-namespaces. %s", o.GetName(), meant)
	}
	return fmt.Sprintf("to keep what it owns: %s --cascade=orphan. %s", policies.Command("delete", o), meant)
}
