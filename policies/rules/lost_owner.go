package rules

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var lostOwner = policies.Rule{
	ID:    "lost-owner",
	Title: "Owner references name an existing owner",
	Doc: `The garbage collector deletes an object if none of its owners exists, which it finds by UID in the object's own
namespace. Manifests copied from another cluster or namespace (kubectl get -o yaml) name owners that do not exist there, and
so does a mistyped patch. The API server accepts such a StatefulSet or claim, and the garbage collector deletes it seconds
later, with its data. Mooring judges only owners that a request adds. In a file any owner with a UID is wrong, because no
other cluster has this UID. If the cluster does not serve the owner's kind, or Mooring may not read it, the finding is at most
a warning, and the owner's operator does not get it.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.StatefulSet, create, update),
		policies.On(kinds.PersistentVolumeClaim, create, update),
	},
	Checks: []policies.Check{
		{Name: "missing", Doc: "the owner does not exist in the cluster"},
		{Name: "uid", Doc: "a file names the UID of an owner"},
	},
	Logic: policies.Typed[v1alpha1.LostOwner]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.LostOwner { return &r.LostOwner },
		Baseline:   &v1alpha1.LostOwner{Enforcement: deny},
		Restricted: &v1alpha1.LostOwner{Enforcement: deny},
		Object:     ownerInFile,
		Change:     newOwnersExist,
	},
}

func newOwnersExist(ch policies.Change, c policies.Cluster, _ v1alpha1.LostOwner) ([]policies.Finding, error) {
	if ch.InFiles || ch.New.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	owners, sure := ch.NewOwners(), true
	var lost []metav1.OwnerReference
	for _, owner := range owners {
		found, known, err := c.Owner(ch.New.GetNamespace(), owner)
		if err != nil || found != nil {
			// The garbage collector keeps an object while one owner exists.
			return nil, err
		}
		// A person with all rights is no operator.
		if !known && strings.HasPrefix(ch.User.Username, "system:serviceaccount:") {
			operates, _, err := c.MayOperate(ch.New.GetNamespace(), owner)
			if operates || err != nil {
				return nil, err
			}
		}
		sure, lost = sure && known, append(lost, owner)
	}
	if len(lost) == 0 {
		return nil, nil
	}
	if len(lost) < len(ch.New.GetOwnerReferences()) {
		// It already has an owner, which keeps it.
		return nil, nil
	}
	owner, kind := lost[0], kinds.Of(ch.New)
	f := policies.Finding{
		Check: "missing", Path: "metadata.ownerReferences", Pending: true, Unknown: !sure,
		Message: fmt.Sprintf("%s %s, which owns %s %s, does not exist in namespace %s with UID %s. Garbage collection would delete what it owns, with its data.",
			owner.Kind, owner.Name, kind.Kind, ch.New.GetName(), ch.New.GetNamespace(), owner.UID),
		Remedy: "remove metadata.ownerReferences, which are valid only in the cluster and namespace they were copied from.",
	}
	if !sure {
		f.Message = fmt.Sprintf("%s %s has the owner %s %s, and Mooring cannot check whether it exists. If it does not exist with UID %s, garbage collection deletes the %[1]s.",
			kind.Kind, ch.New.GetName(), owner.Kind, owner.Name, owner.UID)
	}
	return []policies.Finding{f}, nil
}

// ownerInFile judges objects in files, whose owners have no UID yet.
func ownerInFile(o kinds.Object, c policies.Cluster, _ v1alpha1.LostOwner) ([]policies.Finding, error) {
	i := slices.IndexFunc(o.GetOwnerReferences(), func(owner metav1.OwnerReference) bool { return owner.UID != "" })
	if i < 0 {
		return nil, nil
	}
	if complete, err := policies.Complete(c, o.GetNamespace()); complete || err != nil {
		return nil, err
	}
	owner := o.GetOwnerReferences()[i]
	return []policies.Finding{{
		Check: "uid", Path: "metadata.ownerReferences",
		Message: fmt.Sprintf("%s %s is owned by %s %s with UID %s, which exists in at most one cluster. In any other, garbage collection deletes the object.",
			kinds.Of(o).Kind, o.GetName(), owner.Kind, owner.Name, owner.UID),
		Remedy: "remove metadata.ownerReferences.",
	}}, nil
}
