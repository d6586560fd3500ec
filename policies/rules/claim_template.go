package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var claimTemplate = policies.Rule{
	ID:    "claim-template",
	Title: "Claims request storage that exists and can be resized",
	Doc: `volumeClaimTemplates are immutable, and if a claim requests a storage class that does not exist, its Pod stays
Pending without an error for the user who applied the StatefulSet. So Mooring judges the template: its class must exist (or a
default class, or a volume that you created for it), and the policy must allow class, access modes and size. New API servers
refuse a template without access modes, and a container that mounts a volume which the Pod does not have. Older ones accept
both, and no Pod ever starts. Mooring does not refuse claims that the StatefulSet controller creates, because the user would
not see the refusal. It judges claims that users create like templates.`,
	Severity: policies.Medium,
	On: []policies.Trigger{
		policies.On(kinds.StatefulSet, create, update),
		policies.On(kinds.PersistentVolumeClaim, create),
	},
	Checks: []policies.Check{
		{Name: "no-class", Doc: "the storage class does not exist, or the template names none and there is no default"},
		{Name: "no-access-mode", Doc: "the template has no access mode"},
		{Name: "no-volume", Doc: "a container mounts a volume that the Pod does not have"},
		{Name: "class", Doc: "the policy does not allow the storage class"},
		{Name: "access-mode", Doc: "the policy does not allow the access mode"},
		{Name: "size", Doc: "the policy does not allow the size"},
		{Name: "no-expansion", Doc: "the policy requires volumes that can be resized"},
	},
	Logic: policies.Typed[v1alpha1.ClaimTemplate]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ClaimTemplate { return &r.ClaimTemplate },
		Baseline:   &v1alpha1.ClaimTemplate{Enforcement: warn},
		Restricted: &v1alpha1.ClaimTemplate{Enforcement: deny, RequireExpansion: true},
		Object:     asksForGoodStorage,
		Change:     asksForGoodStorageByHand,
		Validate: func(p v1alpha1.ClaimTemplate, _ v1alpha1.Rules, at *field.Path) field.ErrorList {
			if p.MinSize == nil || p.MaxSize == nil || p.MinSize.Cmp(*p.MaxSize) <= 0 {
				return nil
			}
			return field.ErrorList{field.Invalid(at.Child("minSize"), p.MinSize.String(), fmt.Sprintf("is more than maxSize, %s", p.MaxSize))}
		},
	},
}

func asksForGoodStorage(o kinds.Object, c policies.Cluster, p v1alpha1.ClaimTemplate) ([]policies.Finding, error) {
	set, ok := o.(*appsv1.StatefulSet)
	if !ok {
		return nil, nil
	}
	var found []policies.Finding
	var errs []error
	for i := range set.Spec.VolumeClaimTemplates {
		claim := &set.Spec.VolumeClaimTemplates[i]
		of, err := judgeClaim(claim, "Claim template "+claim.Name, fmt.Sprintf("spec.volumeClaimTemplates[%d].spec", i), c, p)
		found, errs = append(found, of...), append(errs, err)
		if len(claim.Spec.AccessModes) == 0 {
			found = append(found, policies.Finding{
				Check: "no-access-mode", Path: fmt.Sprintf("spec.volumeClaimTemplates[%d].spec.accessModes", i),
				Message: fmt.Sprintf("Claim template %s has no access mode: the API server refuses StatefulSet %s. An older one accepts it and refuses its claims.", claim.Name, set.Name),
				Remedy:  "set accessModes: [ReadWriteOnce]",
			})
		}
	}
	found = append(found, mountsNoVolume(set)...)
	return found, errors.Join(errs...)
}

// mountsNoVolume finds the mounts of volumes that the Pods do not have.
func mountsNoVolume(set *appsv1.StatefulSet) []policies.Finding {
	pod := set.Spec.Template.Spec
	var found []policies.Finding
	lacks := func(volume string) bool {
		return volume != "" && !hasTemplate(set, volume) && !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == volume })
	}
	add := func(container, path, volume string) {
		found = append(found, policies.Finding{
			Check: "no-volume", Path: path,
			Message: fmt.Sprintf("Container %s mounts volume %s, but StatefulSet %s has no claim template or volume of that name: the API server refuses it. An older one accepts it and refuses its Pods.", container, volume, set.Name),
			Remedy:  fmt.Sprintf("add a claim template or volume called %s, or remove the mount.", volume),
		})
	}
	for field, containers := range map[string][]corev1.Container{"containers": pod.Containers, "initContainers": pod.InitContainers} {
		for i, c := range containers {
			for j, m := range c.VolumeMounts {
				if lacks(m.Name) {
					add(c.Name, fmt.Sprintf("spec.template.spec.%s[%d].volumeMounts[%d].name", field, i, j), m.Name)
				}
			}
			for j, d := range c.VolumeDevices {
				if lacks(d.Name) {
					add(c.Name, fmt.Sprintf("spec.template.spec.%s[%d].volumeDevices[%d].name", field, i, j), d.Name)
				}
			}
		}
	}
	return found
}

func asksForGoodStorageByHand(ch policies.Change, c policies.Cluster, p v1alpha1.ClaimTemplate) ([]policies.Finding, error) {
	claim, ok := ch.New.(*corev1.PersistentVolumeClaim)
	if !ok || ch.ByController() {
		return nil, nil
	}
	return judgeClaim(claim, "Claim "+claim.Name, "spec", c, p)
}

// judgeClaim judges a claim in a namespace; its spec is at path.
func judgeClaim(claim *corev1.PersistentVolumeClaim, name, path string, c policies.Cluster, p v1alpha1.ClaimTemplate) ([]policies.Finding, error) {
	var found []policies.Finding
	add := func(check, field, remedy, format string, args ...any) {
		found = append(found, policies.Finding{
			Check: check, Path: path + "." + field, Remedy: remedy, Message: fmt.Sprintf("%s %s.", name, fmt.Sprintf(format, args...)),
		})
	}
	for _, mode := range claim.Spec.AccessModes {
		if len(p.AccessModes) > 0 && !slices.Contains(p.AccessModes, mode) {
			add("access-mode", "accessModes", "use an allowed value.", "requests access mode %s; the policy allows %v", mode, p.AccessModes)
		}
	}
	size := claim.Spec.Resources.Requests.Storage()
	if p.MinSize != nil && size.Cmp(*p.MinSize) < 0 {
		add("size", "resources.requests.storage", fmt.Sprintf("request %s or more.", p.MinSize), "requests %s; the policy requires at least %s", size, p.MinSize)
	}
	if p.MaxSize != nil && size.Cmp(*p.MaxSize) > 0 {
		add("size", "resources.requests.storage", fmt.Sprintf("request %s or less.", p.MaxSize), "requests %s; the policy allows at most %s", size, p.MaxSize)
	}
	if asked := claim.Spec.StorageClassName; asked != nil && *asked == "" {
		// An empty name asks for a volume that was created by hand.
		return found, nil
	}
	class, known, err := classOf(claim, c)
	if err != nil {
		return found, err
	}
	looked := true
	if class == nil {
		var made bool
		if made, looked, err = madeByHand(claim, c); made || err != nil {
			return found, err
		}
	}
	switch {
	case class == nil && !known && (claim.Spec.StorageClassName == nil || slices.Contains(provided, *claim.Spec.StorageClassName)):
		// Files seldom contain the cluster's default class or those of its provider.
	case class == nil:
		what := "has no storage class, and the cluster has no default"
		if claim.Spec.StorageClassName != nil {
			what = fmt.Sprintf("requests storage class %s, which does not exist", *claim.Spec.StorageClassName)
			if !known {
				what = fmt.Sprintf("requests storage class %s, which is not in the files and may not be in the cluster", *claim.Spec.StorageClassName)
			}
		}
		add("no-class", "storageClassName", "name an existing class: kubectl get storageclass", "%s. Without it, its Pods stay Pending", what)
		f := &found[len(found)-1]
		f.Pending, f.Unknown = true, !known || !looked
	case len(p.StorageClasses) > 0 && !slices.Contains(p.StorageClasses, class.Name):
		add("class", "storageClassName", "use an allowed value.", "requests storage class %s; the policy allows %s", class.Name, strings.Join(p.StorageClasses, ", "))
	}
	if class != nil && p.RequireExpansion && (class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion) {
		add("no-expansion", "storageClassName", "use a class with allowVolumeExpansion: true.",
			"requests storage class %s, whose volumes cannot be resized", class.Name)
	}
	return found, nil
}

// provided are the storage classes that cloud providers and local clusters have by default.
var provided = []string{
	"alicloud-disk-essd", "azurefile", "azurefile-csi", "civo-volume", "default", "do-block-storage", "gp2", "gp3", "hcloud-volumes", "hostpath",
	"linode-block-storage", "linode-block-storage-retain", "local-path", "managed", "managed-csi", "managed-csi-premium", "managed-premium",
	"microk8s-hostpath", "oci-bv", "premium-rwo", "premium-rwx", "scw-bssd", "standard", "standard-rwo", "standard-rwx", "vultr-block-storage",
}

// mostVolumes is how many volumes are read to find one of a class.
const mostVolumes = 1000

// madeByHand reports whether the claim is for a statically provisioned volume: it names the volume, or the members of
// a StatefulSet run on volumes of the same class, or there is a volume of it. The class is then only a name that both share. If known is
// false, there are more volumes than it reads.
func madeByHand(claim *corev1.PersistentVolumeClaim, c policies.Cluster) (made, known bool, err error) {
	if claim.Spec.VolumeName != "" || claim.Spec.StorageClassName == nil {
		return claim.Spec.VolumeName != "", true, nil
	}
	if runs, err := policies.ClassServes(*claim.Spec.StorageClassName, c); runs || err != nil {
		return runs, true, err
	}
	seen := 0
	_, err = policies.Walk(c, "", func(v *corev1.PersistentVolume) bool {
		made, seen = v.Spec.StorageClassName == *claim.Spec.StorageClassName, seen+1
		return made || seen == mostVolumes
	})
	return made, seen < mostVolumes, err
}

// classOf returns the class that the claim requests, or else the default class, or nil if there is none.
func classOf(claim *corev1.PersistentVolumeClaim, c policies.Cluster) (*storagev1.StorageClass, bool, error) {
	if asked := claim.Spec.StorageClassName; asked != nil {
		return policies.Get[*storagev1.StorageClass](c, "", *asked)
	}
	classes, known, err := policies.List[*storagev1.StorageClass](c, "")
	i := slices.IndexFunc(classes, func(class *storagev1.StorageClass) bool {
		return class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
	})
	if i < 0 {
		return nil, known, err
	}
	return classes[i], known, err
}
