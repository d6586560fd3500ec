package policies

import (
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var volumeReclaim = Rule{
	ID:    "volume-reclaim",
	Block: "volumeReclaim",
	Title: "A deleted claim leaves its volume behind",
	Doc: `A provisioner gives a new PersistentVolume the reclaim policy of its storage class, which is Delete almost everywhere:
with the claim goes the disk. This rule refuses nothing. Where a policy asks for it, volumes made for claims of the
namespaces it matches get the reclaim policy it names, so that what was deleted by accident can be attached again.`,
	Severity: Medium,
	On:       []Trigger{{"PersistentVolume", []admissionv1.Operation{admissionv1.Create}}},
	blocks: typed(logic[v1alpha1.VolumeReclaim]{
		params: func(r *v1alpha1.Rules) *v1alpha1.VolumeReclaim { return r.VolumeReclaim },
		fills:  func(p v1alpha1.VolumeReclaim) bool { return p.Default != "" },
		fill:   fillReclaimPolicy,
	}),
	Cases: []Case{
		{Name: "a volume for a claim of the namespace is kept", Policy: "action: Audit, default: Retain", New: `kind: PersistentVolume`, Fills: "Retain"},
		{
			Name: "a volume that nobody claims is left alone", Policy: "action: Audit, default: Retain",
			New: `{kind: PersistentVolume, spec: {claimRef: null}}`,
		},
	},
}

func fillReclaimPolicy(d *Defaults, p v1alpha1.VolumeReclaim) {
	volume := d.Object.(*corev1.PersistentVolume)
	if volume.Spec.ClaimRef == nil {
		return
	}
	// What the provisioner wrote is the storage class's wish and nobody's about this volume, so any value may be replaced.
	const path = "spec.persistentVolumeReclaimPolicy"
	if fill(d, path, &volume.Spec.PersistentVolumeReclaimPolicy, p.Default, volume.Spec.PersistentVolumeReclaimPolicy) {
		d.put(path, volume.Spec.PersistentVolumeReclaimPolicy)
	}
}
