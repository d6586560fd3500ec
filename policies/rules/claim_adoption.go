package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var claimAdoption = policies.Rule{
	ID:    "claim-adoption",
	Title: "A new StatefulSet does not adopt old claims unnoticed",
	Doc: `Only names tie claims to a StatefulSet. If you create a StatefulSet and claims with its names exist, it uses
them with the data of whatever ran there before. The size, storage class and access modes of its templates do not apply to
them. You can restore data in this way, or replace a StatefulSet and keep its Pods (--cascade=orphan, which passes while they
run). But a test can also start on last year's production data.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create)},
	Checks: []policies.Check{
		{Name: "adopts", Doc: "claims with its names exist, so its Pods would start on old data (by default at most a warning)"},
		{Name: "renamed", Doc: "claims of its Pods exist under another template name, so its Pods would start without the data (by default at most a warning)"},
		{Name: "disagrees", Doc: "size, storage class or access mode of such a claim differs from the template"},
	},
	Logic: policies.Typed[v1alpha1.ClaimAdoption]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ClaimAdoption { return &r.ClaimAdoption },
		Baseline:   &v1alpha1.ClaimAdoption{Enforcement: warn},
		Restricted: &v1alpha1.ClaimAdoption{Enforcement: deny},
		Change:     adoptsKnowingly,
	},
}

func adoptsKnowingly(ch policies.Change, c policies.Cluster, p v1alpha1.ClaimAdoption) ([]policies.Finding, error) {
	set := ch.New.(*appsv1.StatefulSet)
	claims, _, err := policies.ClaimsOf(set, statefulset.Ranges{statefulset.OrdinalsOf(set)}, c)
	if err != nil {
		return nil, err
	}
	left, err := underOtherTemplates(set, claims, c)
	if len(left) > 0 {
		return []policies.Finding{{
			Check: "renamed", Path: "spec.volumeClaimTemplates", Action: cmp.Or(p.Adopts, p.Action.AtMost(v1alpha1.Warn)),
			Message: fmt.Sprintf("StatefulSet %s would start on new, empty claims: %s of another template name %s the data (%s).",
				set.Name, words.Plural(len(left), "claim"), map[bool]string{true: "keeps", false: "keep"}[len(left) == 1], words.Names(left)),
			Remedy: "name the claim template as before.",
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	claims = slices.DeleteFunc(claims, func(claim *corev1.PersistentVolumeClaim) bool {
		// The controller waits until a Terminating claim is gone, and creates a new one.
		return claim.DeletionTimestamp != nil
	})
	if len(claims) == 0 {
		return nil, nil
	}
	old, err := withoutPod(claims, c)
	found := disagreements(set, claims, p)
	if len(old) > 0 {
		found = append(found, policies.Finding{
			Check: "adopts", Path: "spec.volumeClaimTemplates", Action: cmp.Or(p.Adopts, p.Action.AtMost(v1alpha1.Warn)),
			Message: fmt.Sprintf("StatefulSet %s would start with existing data: %s with its names already exist (%s).", set.Name, words.Plural(len(old), "claim"), words.Names(old)),
			Remedy: fmt.Sprintf("nothing, if this is intended. To inspect them: %[1]s get persistentvolumeclaims %[2]s -o wide. To start empty, use another name, or back up and delete the claims.",
				policies.Kubectl(set), old[0].Name),
		})
	}
	return found, err
}

// underOtherTemplates returns the claims of the StatefulSet's Pods that none of its templates names, if it has no claims of its
// own.
func underOtherTemplates(set *appsv1.StatefulSet, own []*corev1.PersistentVolumeClaim, c policies.Cluster) ([]*corev1.PersistentVolumeClaim, error) {
	if len(set.Spec.VolumeClaimTemplates) == 0 || len(own) > 0 {
		return nil, nil
	}
	claims, _, err := policies.ClaimsNamedFor(set, c, func(claim *corev1.PersistentVolumeClaim) bool {
		name, n, ok := statefulset.CutOrdinal(claim.Name)
		return ok && strings.HasSuffix(name, "-"+set.Name) && statefulset.OrdinalsOf(set).Has(n) && claim.DeletionTimestamp == nil &&
			(statefulset.LeftBehind(claim) || statefulset.Named(claim))
	})
	if err != nil {
		return nil, err
	}
	var left []*corev1.PersistentVolumeClaim
	for _, claim := range claims {
		// The claim may belong to another StatefulSet whose name ends the same way.
		other, _, err := policies.ClaimantOf(claim, c)
		if err != nil {
			return nil, err
		}
		if other == nil {
			left = append(left, claim)
		}
	}
	return left, nil
}

// withoutPod returns the claims that no Pod uses. A Pod that outlived its StatefulSet keeps its own data.
func withoutPod(claims []*corev1.PersistentVolumeClaim, c policies.Cluster) ([]*corev1.PersistentVolumeClaim, error) {
	var idle []*corev1.PersistentVolumeClaim
	for _, claim := range claims {
		pod, err := policies.MemberOn(claim, c)
		if err != nil {
			return nil, err
		}
		if pod == nil {
			idle = append(idle, claim)
		}
	}
	return idle, nil
}

// disagreements returns a finding for each template that asks for something its claims do not have.
func disagreements(set *appsv1.StatefulSet, claims []*corev1.PersistentVolumeClaim, p v1alpha1.ClaimAdoption) []policies.Finding {
	var found []policies.Finding
	for i := range set.Spec.VolumeClaimTemplates {
		template := &set.Spec.VolumeClaimTemplates[i]
		for _, claim := range claims {
			if _, ok := statefulset.OrdinalIn(claim.Name, template.Name+"-"+set.Name); !ok {
				continue
			}
			if f := disagreement(template, claim); f.Message != "" {
				f.Check, f.Action, f.Path = "disagrees", p.Disagrees, fmt.Sprintf("spec.volumeClaimTemplates[%d].%s", i, f.Path)
				found = append(found, f)
				break
			}
		}
	}
	return found
}

// disagreement returns a finding if the claim lacks what the template asks for. The claim may be larger and have more access modes.
func disagreement(template, claim *corev1.PersistentVolumeClaim) policies.Finding {
	is, want := claim.Spec, template.Spec
	other := fmt.Sprintf("make the template match the claim, or rename the template from %s to get new claims.", template.Name)
	size, least := is.Resources.Requests[corev1.ResourceStorage], want.Resources.Requests[corev1.ResourceStorage]
	missing := slices.DeleteFunc(slices.Clone(want.AccessModes), func(m corev1.PersistentVolumeAccessMode) bool {
		return slices.Contains(is.AccessModes, m)
	})
	switch filesystem := corev1.PersistentVolumeFilesystem; {
	case size.Cmp(least) < 0:
		return policies.Finding{
			Path: "spec.resources.requests.storage",
			Message: fmt.Sprintf("Claim %s exists and has %s; the template's %s does not apply to an existing claim.",
				claim.Name, size.String(), least.String()),
			Remedy: fmt.Sprintf(`resize each such claim first: %s patch persistentvolumeclaim %s -p '{"spec":{"resources":{"requests":{"storage":"%s"}}}}'`,
				policies.Kubectl(claim), claim.Name, least.String()),
		}
	case want.StorageClassName != nil && ptr.Deref(is.StorageClassName, "") != *want.StorageClassName:
		return policies.Finding{
			Path: "spec.storageClassName", Remedy: other,
			Message: fmt.Sprintf("Claim %s exists with storage class %q; the template's %q does not apply to an existing claim.",
				claim.Name, ptr.Deref(is.StorageClassName, ""), *want.StorageClassName),
		}
	case len(missing) > 0:
		return policies.Finding{
			Path: "spec.accessModes", Remedy: other,
			Message: fmt.Sprintf("Claim %s exists and is %v; the template's %v does not apply to an existing claim, and Pods that need it do not start.", claim.Name, is.AccessModes, missing),
		}
	case *cmp.Or(is.VolumeMode, &filesystem) != *cmp.Or(want.VolumeMode, &filesystem):
		return policies.Finding{
			Path: "spec.volumeMode", Remedy: other,
			Message: fmt.Sprintf("Claim %s exists and is a %s volume; the template's volumeMode does not apply to an existing claim, and the Pod does not start.",
				claim.Name, *cmp.Or(is.VolumeMode, &filesystem)),
		}
	}
	return policies.Finding{}
}
