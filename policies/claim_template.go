package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var claimTemplate = Rule{
	ID:    "claim-template",
	Block: "claimTemplate",
	Title: "Claims ask for storage that is there and can grow",
	Doc: `volumeClaimTemplates cannot be changed later, and a claim that asks for a storage class that does not exist leaves its
Pod pending without a word to whoever applied the StatefulSet. So the template is judged when it is written: its class
exists (or there is a default one), and class, access modes and size are among what the policy allows. Claims that the
StatefulSet controller makes of a template are let through, as their owner would never see a refusal; claims that people
make are judged like templates.`,
	Severity: Medium,
	On: []Trigger{
		{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}},
		{"PersistentVolumeClaim", []admissionv1.Operation{admissionv1.Create}},
	},
	Checks: []Check{
		{"no-class", "the storage class does not exist, or none is asked for and there is no default"},
		{"class", "the storage class is not among those allowed"},
		{"access-mode", "an access mode is not among those allowed"},
		{"size", "the size is outside of the bounds"},
		{"no-expansion", "volumes of the class cannot grow, and the policy wants that they can"},
	},
	blocks: typed(logic[v1alpha1.ClaimTemplate]{
		params: func(r *v1alpha1.Rules) *v1alpha1.ClaimTemplate { return r.ClaimTemplate },
		object: asksForGoodStorage,
		change: asksForGoodStorageByHand,
	}),
	Cases: []Case{
		{
			Name: "the default class", New: `kind: StatefulSet`,
			Given: []string{`{kind: StorageClass, metadata: {annotations: {storageclass.kubernetes.io/is-default-class: "true"}}}`},
		},
		{
			Name: "what the policy allows", New: `kind: StatefulSet`,
			Policy: "action: Deny, storageClasses: [standard], accessModes: [ReadWriteOnce], minSize: 1Gi, maxSize: 100Gi, requireExpansion: true",
			Given:  []string{`{kind: StorageClass, allowVolumeExpansion: true, metadata: {annotations: {storageclass.kubernetes.io/is-default-class: "true"}}}`},
		},
		{Name: "no class, and no default", New: `kind: StatefulSet`, Want: []string{"no-class"}},
		{
			Name: "a class that does not exist", Given: []string{`kind: StorageClass`},
			New: `{kind: StatefulSet, spec: {volumeClaimTemplates: [
       {metadata: {name: data}, spec: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}}`,
			Want: []string{"no-class"},
		},
		{
			Name: "too small, shared and in the wrong class", Given: []string{`kind: StorageClass`},
			Policy: "action: Deny, storageClasses: [fast], accessModes: [ReadWriteOncePod], minSize: 10Gi, requireExpansion: true",
			New: `{kind: StatefulSet, spec: {volumeClaimTemplates: [
       {metadata: {name: data}, spec: {storageClassName: standard, accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}}]}}`,
			Want: []string{"access-mode", "class", "no-expansion", "size"},
		},
		{
			Name: "a claim made by hand", Policy: "action: Deny, maxSize: 10Gi", Given: []string{`kind: StorageClass`},
			New:  `{kind: PersistentVolumeClaim, spec: {storageClassName: standard, resources: {requests: {storage: 1Ti}}}}`,
			Want: []string{"size"},
		},
		{
			Name: "the same claim made by the StatefulSet controller", Policy: "action: Deny, maxSize: 10Gi", Given: []string{`kind: StorageClass`},
			New:  `{kind: PersistentVolumeClaim, spec: {storageClassName: standard, resources: {requests: {storage: 1Ti}}}}`,
			User: "system:serviceaccount:kube-system:statefulset-controller",
		},
	},
}

func asksForGoodStorage(o Object, c Cluster, p v1alpha1.ClaimTemplate) ([]Finding, error) {
	set, ok := o.(*appsv1.StatefulSet)
	if !ok {
		return nil, nil
	}
	var found []Finding
	var errs []error
	for i := range set.Spec.VolumeClaimTemplates {
		claim := &set.Spec.VolumeClaimTemplates[i]
		of, err := judgeClaim(claim, "Claim template "+claim.Name, fmt.Sprintf("spec.volumeClaimTemplates[%d].spec", i), c, p)
		found, errs = append(found, of...), append(errs, err)
	}
	return found, errors.Join(errs...)
}

func asksForGoodStorageByHand(ch Change, c Cluster, p v1alpha1.ClaimTemplate) ([]Finding, error) {
	claim, ok := ch.New.(*corev1.PersistentVolumeClaim)
	if !ok || ch.ByController() {
		return nil, nil
	}
	return judgeClaim(claim, "Claim "+claim.Name, "spec", c, p)
}

// judgeClaim says what is wrong with the claim, whose spec is at path.
func judgeClaim(claim *corev1.PersistentVolumeClaim, name, path string, c Cluster, p v1alpha1.ClaimTemplate) ([]Finding, error) {
	var found []Finding
	add := func(check, field, remedy, format string, args ...any) {
		found = append(found, Finding{
			Check: check, Path: path + "." + field, Remedy: remedy, Message: fmt.Sprintf("%s %s.", name, fmt.Sprintf(format, args...)),
		})
	}
	for _, mode := range claim.Spec.AccessModes {
		if len(p.AccessModes) > 0 && !slices.Contains(p.AccessModes, mode) {
			add("access-mode", "accessModes", "ask for one of those.", "asks for access mode %s; the policy allows %v", mode, p.AccessModes)
		}
	}
	size := claim.Spec.Resources.Requests.Storage()
	if p.MinSize != nil && size.Cmp(*p.MinSize) < 0 {
		add("size", "resources.requests.storage", fmt.Sprintf("ask for %s or more.", p.MinSize), "asks for %s; the policy wants at least %s", size, p.MinSize)
	}
	if p.MaxSize != nil && size.Cmp(*p.MaxSize) > 0 {
		add("size", "resources.requests.storage", fmt.Sprintf("ask for %s or less.", p.MaxSize), "asks for %s; the policy allows at most %s", size, p.MaxSize)
	}
	if asked := claim.Spec.StorageClassName; asked != nil && *asked == "" {
		// The empty name asks for a volume that somebody made by hand.
		return found, nil
	}
	classes, err := c.StorageClasses()
	if err != nil && !errors.Is(err, ErrUnknown) {
		return found, err
	}
	class := classOf(claim, classes)
	switch {
	case class == nil && err != nil && claim.Spec.StorageClassName == nil:
		// A cluster has its default class, and files seldom do.
	case class == nil:
		what := "asks for no storage class, and there is no default one"
		if claim.Spec.StorageClassName != nil {
			what = fmt.Sprintf("asks for storage class %s, which does not exist", *claim.Spec.StorageClassName)
			if err != nil {
				what = fmt.Sprintf("asks for storage class %s, which is not among the files", *claim.Spec.StorageClassName)
			}
		}
		add("no-class", "storageClassName", "name one of those that there are: kubectl get storageclass", "%s: without it, its Pod would wait for ever", what)
		f := &found[len(found)-1]
		f.Pending, f.Unknown = true, err != nil
	case len(p.StorageClasses) > 0 && !slices.Contains(p.StorageClasses, class.Name):
		add("class", "storageClassName", "ask for one of those.", "asks for storage class %s; the policy allows %s", class.Name, strings.Join(p.StorageClasses, ", "))
	}
	if class != nil && p.RequireExpansion && (class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion) {
		add("no-expansion", "storageClassName", "ask for a class that has allowVolumeExpansion: true.",
			"asks for storage class %s, whose volumes cannot grow when they are full", class.Name)
	}
	return found, nil
}

// classOf returns the class that the claim asks for, or the default one where it asks for none; nil where there is no such.
func classOf(claim *corev1.PersistentVolumeClaim, classes []*storagev1.StorageClass) *storagev1.StorageClass {
	i := slices.IndexFunc(classes, func(class *storagev1.StorageClass) bool {
		if asked := claim.Spec.StorageClassName; asked != nil {
			return class.Name == *asked
		}
		return class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
	})
	if i < 0 {
		return nil
	}
	return classes[i]
}
