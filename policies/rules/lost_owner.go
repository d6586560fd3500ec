package rules

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var lostOwner = policies.Rule{
	ID:    "lost-owner",
	Title: "An owner exists",
	Doc: `The garbage collector deletes an object as soon as none of its owners exists: by UID, in the object's own namespace.
Manifests that are copied from another cluster or namespace (kubectl get -o yaml) name owners that are not there, and so does a
mistyped patch. The StatefulSet or claim is accepted, and deleted seconds later, with its data. The API server checks
none of this. Only owners that a request adds are judged. In a file an owner with a UID is wrong by itself: no other cluster
has that UID. Where the cluster does not serve the owner's kind, or Mooring may not read it, the request is warned of at most, and
the owner's operator is not told.`,
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
			// The collector leaves what has one owner left.
			return nil, err
		}
		// A person who may do everything operates nothing.
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
		// It had an owner before, which keeps it.
		return nil, nil
	}
	owner, kind := lost[0], kinds.Of(ch.New)
	f := policies.Finding{
		Check: "missing", Path: "metadata.ownerReferences", Pending: true, Unknown: !sure,
		Message: fmt.Sprintf("%s %s, which owns %s %s, does not exist in namespace %s with UID %s: the garbage collector would delete what it owns, with its data.",
			owner.Kind, owner.Name, kind.Kind, ch.New.GetName(), ch.New.GetNamespace(), owner.UID),
		Remedy: "remove metadata.ownerReferences, which are valid only in the cluster and namespace they were copied from.",
	}
	if !sure {
		f.Message = fmt.Sprintf("%s %s has the owner %s %s, and Mooring cannot read whether it exists: if not with UID %s, garbage collection deletes the %[1]s.",
			kind.Kind, ch.New.GetName(), owner.Kind, owner.Name, owner.UID)
	}
	return []policies.Finding{f}, nil
}

// ownerInFile judges objects of files, which nobody has given a UID yet and around which nothing can be known.
func ownerInFile(o kinds.Object, c policies.Cluster, _ v1alpha1.LostOwner) ([]policies.Finding, error) {
	i := slices.IndexFunc(o.GetOwnerReferences(), func(owner metav1.OwnerReference) bool { return owner.UID != "" })
	if i < 0 {
		return nil, nil
	}
	if _, known, err := policies.Lookup(c, o.GetNamespace(), func(*appsv1.StatefulSet) bool { return false }); known || err != nil {
		return nil, err
	}
	owner := o.GetOwnerReferences()[i]
	return []policies.Finding{{
		Check: "uid", Path: "metadata.ownerReferences",
		Message: fmt.Sprintf("%s %s is owned by %s %s with UID %s, which exists in one cluster at most: anywhere else garbage collection deletes what is applied.",
			kinds.Of(o).Kind, o.GetName(), owner.Kind, owner.Name, owner.UID),
		Remedy: "remove metadata.ownerReferences.",
	}}, nil
}
