package rules

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var volumeRetain = policies.Rule{
	ID:    "volume-retain",
	Title: "A retained volume stays retained",
	Doc: `The reclaim policy Retain often is the last protection of the data of a deleted claim. If you change it to
Delete, the volume is deleted with its claim, or at once if its claim no longer exists. If you remove claimRef from a bound
volume, or change it to another claim, other claims can take the volume and its own claim becomes Lost. This rule judges both
for volumes of StatefulSets' claims. A change from Delete to Retain passes, and so does removing claimRef from a released
volume, which is how you attach data again. Deleting a VolumeAttachment detaches the volume even while a Pod writes to it. This
passes if the node is gone or not ready, or if no member on the node uses the volume, and for the controller that attaches and
detaches volumes. A StorageClass is changed by deleting it and creating it again. Volumes keep the reclaim policy that they got from the
old class, but new ones get that of the new class.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.PersistentVolume, update),
		policies.On(kinds.VolumeAttachment, remove),
		policies.On(kinds.StorageClass, create),
	},
	Checks: []policies.Check{
		{Name: "reclaim", Doc: "the reclaim policy changes from Retain to one that deletes the volume"},
		{Name: "unbound", Doc: "claimRef of a bound volume is removed or names another claim"},
		{Name: "class", Doc: "a StorageClass of StatefulSets is created with another reclaim policy than the Retain of its volumes (at most a warning)"},
		{Name: "detached", Doc: "the VolumeAttachment of a volume is deleted while a member on that node uses it"},
	},
	Logic: policies.Typed[v1alpha1.VolumeRetain]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.VolumeRetain { return &r.VolumeRetain },
		Baseline:   &v1alpha1.VolumeRetain{Enforcement: warn},
		Restricted: &v1alpha1.VolumeRetain{Enforcement: deny},
		Change:     staysKept,
	},
}

func staysKept(ch policies.Change, c policies.Cluster, p v1alpha1.VolumeRetain) ([]policies.Finding, error) {
	switch o := ch.Object().(type) {
	case *storagev1.VolumeAttachment:
		return staysAttached(o, ch, c)
	case *storagev1.StorageClass:
		return classKeeps(o, c, p)
	}
	older, newer := ch.Old.(*corev1.PersistentVolume), ch.New.(*corev1.PersistentVolume)
	ref := older.Spec.ClaimRef
	if ref == nil || older.DeletionTimestamp != nil {
		return nil, nil
	}
	const retain = corev1.PersistentVolumeReclaimRetain
	weakened := older.Spec.PersistentVolumeReclaimPolicy == retain && newer.Spec.PersistentVolumeReclaimPolicy != retain
	now := newer.Spec.ClaimRef
	freed := older.Status.Phase == corev1.VolumeBound && (now == nil || now.Namespace != ref.Namespace || now.Name != ref.Name || now.UID != ref.UID)
	if !weakened && !freed {
		return nil, nil
	}
	claim, _, err := policies.Get[*corev1.PersistentVolumeClaim](c, ref.Namespace, ref.Name)
	if err != nil {
		return nil, err
	}
	goes := "with its claim"
	if claim == nil {
		goes, claim = "at once, because its claim does not exist", &corev1.PersistentVolumeClaim{}
		claim.Namespace, claim.Name = ref.Namespace, ref.Name
	}
	whose, err := memberOf(claim, c)
	if whose == "" || err != nil {
		return nil, err
	}
	if weakened {
		return []policies.Finding{{
			Check: "reclaim", Path: "spec.persistentVolumeReclaimPolicy",
			Message: fmt.Sprintf("Volume %s holds the data of %s. With reclaim policy %s instead of Retain it is deleted %s.",
				older.Name, whose, newer.Spec.PersistentVolumeReclaimPolicy, goes),
			Remedy: "keep Retain. Once nobody needs the data, delete the claim and then the volume.",
		}}, nil
	}
	return []policies.Finding{{
		Check: "unbound", Path: "spec.claimRef",
		Message: fmt.Sprintf("Volume %s is bound to claim %s/%s and holds the data of %s. With another claimRef its claim becomes Lost, and another claim can take the volume.",
			older.Name, ref.Namespace, ref.Name, whose),
		Remedy: fmt.Sprintf("keep claimRef while the claim exists: kubectl -n %s get persistentvolumeclaim %s", ref.Namespace, ref.Name),
	}}, nil
}

// mostSets is how many StatefulSets of a StorageClass are looked at, a claim and its volume of each.
const mostSets = 8

// classKeeps looks for a volume that was made when the class of its name still kept volumes.
func classKeeps(class *storagev1.StorageClass, c policies.Cluster, p v1alpha1.VolumeRetain) ([]policies.Finding, error) {
	if ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete) == corev1.PersistentVolumeReclaimRetain {
		return nil, nil
	}
	sets, err := policies.InNeedOf(class, c)
	for _, set := range sets[:min(mostSets, len(sets))] {
		claims, _, err := policies.ClaimsOf(set, statefulset.Ranges{statefulset.One(statefulset.OrdinalsOf(set).Start)}, c)
		if err != nil {
			return nil, err
		}
		for _, claim := range claims {
			volume, _, err := policies.Get[*corev1.PersistentVolume](c, "", claim.Spec.VolumeName)
			if err != nil {
				return nil, err
			}
			if volume != nil && volume.Spec.StorageClassName == class.Name && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain {
				return []policies.Finding{{
					Check: "class", Path: "reclaimPolicy", Action: p.Action.AtMost(v1alpha1.Warn),
					Message: fmt.Sprintf("New volumes of StorageClass %s are deleted with their claims. Volume %s of claim %s, which exists, keeps its reclaim policy Retain.",
						class.Name, volume.Name, claim.Name),
					Remedy: "create the class with reclaimPolicy: Retain",
				}}, nil
			}
		}
	}
	return nil, err
}

func staysAttached(attachment *storagev1.VolumeAttachment, ch policies.Change, c policies.Cluster) ([]policies.Finding, error) {
	volume, _, err := policies.Get[*corev1.PersistentVolume](c, "", ptr.Deref(attachment.Spec.Source.PersistentVolumeName, ""))
	if volume == nil || volume.Spec.ClaimRef == nil || ch.ByController() || attachment.DeletionTimestamp != nil || err != nil {
		return nil, err
	}
	ref := volume.Spec.ClaimRef
	claim, _, err := policies.Get[*corev1.PersistentVolumeClaim](c, ref.Namespace, ref.Name)
	if claim == nil || err != nil {
		return nil, err
	}
	pod, err := policies.MemberOn(claim, c)
	if pod == nil || pod.Spec.NodeName != attachment.Spec.NodeName || err != nil {
		return nil, err
	}
	node, _, err := policies.Get[*corev1.Node](c, "", pod.Spec.NodeName)
	if node == nil || !nodeReady(node) || err != nil {
		return nil, err
	}
	return []policies.Finding{{
		Check: "detached", Path: "metadata.name",
		Message: fmt.Sprintf("Pod %s runs on node %s and uses volume %s: without VolumeAttachment %s the volume is detached under it, and what it writes is lost.",
			pod.Name, node.Name, volume.Name, attachment.Name),
		Remedy: fmt.Sprintf("leave it. The volume is detached once the Pod has stopped: %s delete pod %s", policies.Kubectl(pod), pod.Name),
	}}, nil
}

// memberOf names the Pod whose data the claim holds, or says that its StatefulSet was deleted. It is empty for other claims.
func memberOf(claim *corev1.PersistentVolumeClaim, c policies.Cluster) (string, error) {
	set, _, err := policies.ClaimantOf(claim, c)
	if err != nil {
		return "", err
	}
	if set != nil {
		n, _ := statefulset.ClaimOrdinal(set, claim)
		return "Pod " + statefulset.PodName(set, n), nil
	}
	pod, err := policies.MemberOn(claim, c)
	switch {
	case err != nil:
		return "", err
	case pod != nil:
		return "Pod " + pod.Name, nil
	case statefulset.LeftBehind(claim) || statefulset.Named(claim):
		return "a deleted StatefulSet", nil
	}
	return "", nil
}
