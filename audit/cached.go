package audit

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Cached says what the cache keeps of the kinds that only the scanner reads.
func Cached() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		claims.object():  {Transform: slimClaim},
		volumes.object(): {Transform: slimVolume},
	}
}

// slimClaim keeps of a claim what an audit looks at. There may be hundreds of thousands.
func slimClaim(o any) (any, error) {
	claim, ok := o.(*corev1.PersistentVolumeClaim)
	if !ok {
		return o, nil
	}
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: claim.Name, Namespace: claim.Namespace, UID: claim.UID, ResourceVersion: claim.ResourceVersion, Labels: claim.Labels,
			OwnerReferences: claim.OwnerReferences, CreationTimestamp: claim.CreationTimestamp, DeletionTimestamp: claim.DeletionTimestamp,
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: claim.Spec.AccessModes, Resources: claim.Spec.Resources, StorageClassName: claim.Spec.StorageClassName, VolumeName: claim.Spec.VolumeName,
		},
	}, nil
}

// slimVolume keeps of a volume whose it is, and what becomes of it.
func slimVolume(o any) (any, error) {
	volume, ok := o.(*corev1.PersistentVolume)
	if !ok {
		return o, nil
	}
	slim := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volume.Name, ResourceVersion: volume.ResourceVersion},
		Spec:       corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: volume.Spec.PersistentVolumeReclaimPolicy},
	}
	if claim := volume.Spec.ClaimRef; claim != nil {
		slim.Spec.ClaimRef = &corev1.ObjectReference{Namespace: claim.Namespace, Name: claim.Name}
	}
	return slim, nil
}

// Strip takes from cached objects of every other kind what no rule reads and what would be the larger part of them.
func Strip(o any) (any, error) {
	if object, ok := o.(client.Object); ok {
		object.SetManagedFields(nil)
		delete(object.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	}
	return o, nil
}
