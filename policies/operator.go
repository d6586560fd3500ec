package policies

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// protectedID is the finding that also holds against operators, because a person protected this object.
const protectedID = "delete-protection/protected"

// spare turns denials into warnings if a refusal would block a delete that was already allowed, or an operator. It reads the
// cluster only if something is denied.
func spare(findings []Finding, chosen []applied, ch Change, c Cluster) error {
	denied := func(f Finding) bool { return f.Action == v1alpha1.Deny }
	if !slices.ContainsFunc(findings, denied) {
		return nil
	}
	if on, err := finishing(ch, c); err != nil {
		return err
	} else if on != "" {
		for i := range findings {
			findings[i].atMost(v1alpha1.Warn, on+" is being deleted")
		}
		return nil
	}
	note, err := operator(chosen, ch, c)
	if note != "" {
		warnOperator(findings, chosen, note)
	}
	return err
}

// warnOperator turns denials into warnings for policies that exempt operators.
func warnOperator(findings []Finding, chosen []applied, note string) {
	enforce := map[string]bool{}
	for _, p := range chosen {
		enforce[p.Name] = p.Spec.OperatorOwned == v1alpha1.OperatorOwnedEnforce
	}
	for i := range findings {
		if f := &findings[i]; !enforce[f.Policy] && f.ID() != protectedID {
			f.atMost(v1alpha1.Warn, note)
		}
	}
}

// operator says why the user counts as the operator of the object, or "". A custom resource's operator is its own or its owner's.
// The object's metadata alone is not enough, because whoever can update it can write it: the owner must exist, and the user must
// have a right that only its operator needs.
func operator(chosen []applied, ch Change, c Cluster) (string, error) {
	if pod, ok := ch.Old.(*corev1.Pod); ok {
		// A member has the operator of its StatefulSet.
		set, err := StatefulSetOf(pod, c)
		if set == nil || err != nil {
			return "", err
		}
		ch.Old, ch.New = set, nil
	}
	account, ok := strings.CutPrefix(ch.User.Username, "system:serviceaccount:")
	if !ok {
		return "", nil
	}
	o := ch.Object()
	if stayedWithOperator(ch) {
		note, err := operates(account, *metav1.GetControllerOf(o), chosen, ch, c)
		if note != "" || err != nil {
			return note, err
		}
	}
	if kinds.Of(o) != kinds.CustomResource {
		return "", nil
	}
	// A deployment tool can update every status, but is no operator of what it prunes.
	if admin, _, err := c.MayAnything(); admin || err != nil {
		return "", err
	}
	apiVersion, kind := o.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return operates(account, metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: o.GetName(), UID: o.GetUID()}, chosen, ch, c)
}

// operates says why the service account that makes the change counts as the operator of the owner, or "".
func operates(account string, owner metav1.OwnerReference, chosen []applied, ch Change, c Cluster) (string, error) {
	namespace := ch.Object().GetNamespace()
	listed := slices.ContainsFunc(chosen, func(p applied) bool {
		return p.mode != v1alpha1.ModeAudit && slices.Contains(p.Spec.Operators, strings.Replace(account, ":", "/", 1))
	})
	if listed {
		found, known, err := c.Owner(namespace, owner)
		if err != nil || known && found == nil {
			return "", err
		}
		return "a policy lists " + account + " as an operator", nil
	}
	may, known, err := c.MayOperate(namespace, owner)
	switch {
	case err != nil:
		return "", fmt.Errorf("checking whether %s operates %s %s: %w", ch.User.Username, owner.Kind, owner.Name, err)
	case !known:
		return fmt.Sprintf("it is unknown whether %s operates %s %s", account, owner.Kind, owner.Name), nil
	case may && owner.UID == ch.Object().GetUID():
		return fmt.Sprintf("%s operates %s %s", account, owner.Kind, owner.Name), nil
	case may:
		return fmt.Sprintf("%s operates %s %s, which owns it", account, owner.Kind, owner.Name), nil
	}
	return "", nil
}

// stayedWithOperator reports whether an operator owns the object before and after the change: a request cannot add its own
// exemption.
func stayedWithOperator(ch Change) bool {
	return (ch.Old == nil || ownedByOperator(ch.Old)) && (ch.New == nil || ownedByOperator(ch.New))
}

// ownedByOperator reports whether the object's controller is a custom resource.
func ownedByOperator(o kinds.Object) bool {
	owner := metav1.GetControllerOf(o)
	return owner != nil && custom(*owner)
}

// custom reports whether an owner is a custom resource.
func custom(owner metav1.OwnerReference) bool {
	return kinds.IsCustom(schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group)
}

// finishing names what is already being deleted, so that the change only finishes it: the namespace, the StatefulSet, or an owner
// of the object over any number of owners.
func finishing(ch Change, c Cluster) (string, error) {
	if ch.Old == nil {
		return "", nil
	}
	if name := ch.Old.GetNamespace(); name != "" {
		namespace, _, err := Get[*corev1.Namespace](c, "", name)
		if err != nil {
			return "", err
		}
		if namespace != nil && namespace.DeletionTimestamp != nil {
			return "namespace " + name, nil
		}
	}
	if set, ok := ch.Old.(*appsv1.StatefulSet); ok && set.DeletionTimestamp != nil {
		return "StatefulSet " + set.Name, nil
	}
	owners, err := ownersOf(ch.Old, c)
	if err != nil {
		return "", err
	}
	return ownerGoes(ch.Old.GetNamespace(), owners, c)
}

// ownersOf returns the object's owners, and for a claim also the StatefulSet of its name.
func ownersOf(o kinds.Object, c Cluster) ([]metav1.OwnerReference, error) {
	owners := o.GetOwnerReferences()
	claim, ok := o.(*corev1.PersistentVolumeClaim)
	if !ok {
		return owners, nil
	}
	set, _, err := ClaimantOf(claim, c)
	if set != nil {
		owners = append(slices.Clone(owners), *metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet")))
	}
	return owners, err
}

// maxOwners limits how many levels of owners are followed.
const maxOwners = 4

// Ascend visits the owners of an object, then theirs, which visit returns, and so on until it has had enough.
func Ascend(owners []metav1.OwnerReference, visit func(metav1.OwnerReference) (above []metav1.OwnerReference, enough bool, err error)) error {
	seen := sets.New[types.UID]()
	for level := 0; level < maxOwners && len(owners) > 0; level++ {
		var next []metav1.OwnerReference
		for _, ref := range owners {
			if seen.Has(ref.UID) {
				continue
			}
			seen.Insert(ref.UID)
			above, enough, err := visit(ref)
			if enough || err != nil {
				return err
			}
			next = append(next, above...)
		}
		owners = next
	}
	return nil
}

// Ancestry is a Cluster that caches the owners of custom resources for a while.
type Ancestry interface {
	// Above returns the owners of an owner, none if it does not exist.
	Above(namespace string, owner metav1.OwnerReference) (owners []metav1.OwnerReference, known bool, err error)
}

// Above returns the owners of an owner, none if it does not exist. They may come from the Cluster's cache.
func Above(c Cluster, namespace string, owner metav1.OwnerReference) ([]metav1.OwnerReference, bool, error) {
	if remembers, ok := c.(Ancestry); ok {
		return remembers.Above(namespace, owner)
	}
	o, known, err := c.Owner(namespace, owner)
	if o == nil {
		return nil, known, err
	}
	return o.OwnerReferences, known, err
}

// ownerGoes names the nearest owner that is being deleted, or returns "".
func ownerGoes(namespace string, owners []metav1.OwnerReference, c Cluster) (on string, err error) {
	err = Ascend(owners, func(ref metav1.OwnerReference) ([]metav1.OwnerReference, bool, error) {
		owner, err := ownerBy(ref, namespace, c)
		if owner == nil || err != nil {
			return nil, false, err
		}
		if owner.GetDeletionTimestamp() != nil {
			on = ref.Kind + " " + ref.Name
		}
		return owner.GetOwnerReferences(), on != "", nil
	})
	return on, err
}

// ownerBy returns the owner of the reference, or nil if it does not exist or is unknown.
func ownerBy(ref metav1.OwnerReference, namespace string, c Cluster) (metav1.Object, error) {
	kind := kinds.Find(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind())
	switch {
	case kind != nil:
		if !kind.Namespaced {
			namespace = ""
		}
		if o, _, err := c.Get(kind, namespace, ref.Name); o != nil && o.GetUID() == ref.UID || err != nil {
			return o, err
		}
	case custom(ref):
		if o, _, err := c.Owner(namespace, ref); o != nil || err != nil {
			return o, err
		}
	}
	return nil, nil
}
