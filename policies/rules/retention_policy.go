package rules

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var retentionPolicy = policies.Rule{
	ID:    "retention-policy",
	Title: "Claims are retained unless the owner decides otherwise",
	Doc: `persistentVolumeClaimRetentionPolicy decides whether Kubernetes deletes the claims of a StatefulSet when it is
deleted (whenDeleted) and when a scale-down removes their Pods (whenScaled). Delete is final if the volume's reclaim policy is
Delete too. An update from Retain to Delete destroys nothing until the next scale-down or delete. A policy can set a default
if the manifest leaves it out, and require a value. See KEP-1847.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks: []policies.Check{
		{Name: "required", Doc: "the value differs from the one that the policy requires"},
		{Name: "weakening", Doc: "an update changes Retain to Delete"},
	},
	Logic: policies.Typed[v1alpha1.RetentionPolicy]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.RetentionPolicy { return &r.RetentionPolicy },
		Baseline:   &v1alpha1.RetentionPolicy{Enforcement: warn},
		Restricted: &v1alpha1.RetentionPolicy{Enforcement: deny, Default: &retain, Require: &retain},
		Object:     retainsAsRequired,
		Change:     weakensRetention,
		Fills:      func(p v1alpha1.RetentionPolicy) bool { return p.Default != nil },
		Fill:       fillRetention,
		Validate:   agreesWithItself,
	},
}

// retain is the value in restricted.
var retain = v1alpha1.RetentionValues{
	WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
}

// retentionPart is one half of a retention policy.
type retentionPart struct {
	path  string
	value *appsv1.PersistentVolumeClaimRetentionPolicyType
	// when is the end of a sentence about it.
	when string
}

func retentionOf(set *appsv1.StatefulSet) [2]retentionPart {
	policy := statefulset.Retention(set)
	return retentionParts(&policy)
}

func retentionParts(p *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy) [2]retentionPart {
	return [2]retentionPart{
		{retentionPath + ".whenDeleted", &p.WhenDeleted, "the StatefulSet is deleted"},
		{retentionPath + ".whenScaled", &p.WhenScaled, "a scale-down removes a Pod"},
	}
}

// wishes returns the two halves that a policy asks for, empty if it asks for nothing.
func wishes(v *v1alpha1.RetentionValues) [2]retentionPart {
	return retentionParts((*appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy)(v))
}

func retainsAsRequired(o kinds.Object, _ policies.Cluster, p v1alpha1.RetentionPolicy) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if p.Require == nil || len(set.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	var found []policies.Finding
	want := wishes(p.Require)
	for i, part := range retentionOf(set) {
		if *want[i].value == "" || *want[i].value == *part.value {
			continue
		}
		found = append(found, policies.Finding{
			Check: "required", Path: part.path,
			Message: fmt.Sprintf("StatefulSet %s has the retention policy %s (when %s); the policy requires %s.",
				set.Name, *part.value, part.when, *want[i].value),
			Remedy: fmt.Sprintf("set %s: %s", part.path, *want[i].value),
		})
	}
	return found, nil
}

func weakensRetention(ch policies.Change, _ policies.Cluster, p v1alpha1.RetentionPolicy) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || len(newer.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	var found []policies.Finding
	was := retentionOf(older)
	for i, is := range retentionOf(newer) {
		if *was[i].value == *is.value || *is.value != appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
			continue
		}
		found = append(found, policies.Finding{
			Check: "weakening", Path: is.path, Action: p.Weakening,
			Message: fmt.Sprintf("Kubernetes would delete the claims of StatefulSet %s and their data when %s; before this update it would retain them.",
				newer.Name, is.when),
			Remedy: fmt.Sprintf("keep %s: %s, and delete single claims when nobody needs their data.", is.path, *was[i].value),
		})
	}
	return found, nil
}

func fillRetention(d *policies.Defaults, p v1alpha1.RetentionPolicy) {
	set := d.Object.(*appsv1.StatefulSet)
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		return
	}
	policy, changed := statefulset.Retention(set), false
	want := wishes(p.Default)
	for i, part := range retentionParts(&policy) {
		if *want[i].value == appsv1.DeletePersistentVolumeClaimRetentionPolicyType && !d.Creating {
			// A default must not delete claims that were kept so far.
			continue
		}
		if *want[i].value == appsv1.DeletePersistentVolumeClaimRetentionPolicyType && !d.Told() {
			// Less safe than the API's default: the owner may have written Retain.
			continue
		}
		if policies.Fill(d, part.path, part.value, *want[i].value, appsv1.RetainPersistentVolumeClaimRetentionPolicyType) {
			changed = true
		}
	}
	if changed {
		set.Spec.PersistentVolumeClaimRetentionPolicy = &policy
		d.Put(retentionPath, policy)
	}
}

// agreesWithItself rejects a default that the same policy refuses.
func agreesWithItself(p v1alpha1.RetentionPolicy, _ v1alpha1.Rules, at *field.Path) field.ErrorList {
	if p.Default == nil || p.Require == nil {
		return nil
	}
	var errs field.ErrorList
	required := wishes(p.Require)
	for i, part := range wishes(p.Default) {
		if *part.value != "" && *required[i].value != "" && *part.value != *required[i].value {
			errs = append(errs, field.Invalid(at.Child("default"), *part.value, fmt.Sprintf("the policy requires %s when %s", *required[i].value, part.when)))
		}
	}
	return errs
}
