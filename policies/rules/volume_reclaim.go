package rules

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var volumeReclaim = policies.Rule{
	ID:    "volume-reclaim",
	Title: "Deleting a claim keeps its volume",
	Doc: `A provisioner gives a new PersistentVolume the reclaim policy of its storage class, usually Delete: deleting the
claim then deletes the disk. This rule refuses nothing. If a policy asks for it, Mooring sets the reclaim policy of new provisioned
volumes for claims in the namespaces that the policy matches, so that you can attach the volume of a deleted claim again. A volume
that you create yourself keeps the reclaim policy that you give it.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.PersistentVolume, create)},
	Logic: policies.Typed[v1alpha1.VolumeReclaim]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.VolumeReclaim { return &r.VolumeReclaim },
		Restricted: &v1alpha1.VolumeReclaim{Enforcement: audit, Default: corev1.PersistentVolumeReclaimRetain},
		Fills:      func(p v1alpha1.VolumeReclaim) bool { return p.Default != "" },
		Fill:       fillReclaimPolicy,
	},
}

func fillReclaimPolicy(d *policies.Defaults, p v1alpha1.VolumeReclaim) {
	volume := d.Object.(*corev1.PersistentVolume)
	// A provisioner copies the value of the storage class. It was not chosen for this volume, so the default may replace it.
	if volume.Spec.ClaimRef == nil || volume.Annotations["pv.kubernetes.io/provisioned-by"] == "" {
		return
	}
	const path = "spec.persistentVolumeReclaimPolicy"
	if policies.Fill(d, path, &volume.Spec.PersistentVolumeReclaimPolicy, p.Default, volume.Spec.PersistentVolumeReclaimPolicy) {
		d.Put(path, volume.Spec.PersistentVolumeReclaimPolicy)
	}
}
