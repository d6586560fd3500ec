package policies

import (
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var retentionPolicy = Rule{
	ID:    "retention-policy",
	Block: "retentionPolicy",
	Title: "Claims outlive what they belong to, or the owner said otherwise",
	Doc: `persistentVolumeClaimRetentionPolicy decides whether the claims of a StatefulSet are deleted with it (whenDeleted)
and with the ordinals that a scale-down takes away (whenScaled). Delete is as final as it sounds where the volume's reclaim
policy is Delete too, and an update from Retain to Delete destroys nothing until the next scale-down or delete does. The
policy can give a default where the owner was silent, and require a value. KEP-1847.`,
	Severity: High,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks: []Check{
		{"required", "the value is not the one the policy requires"},
		{"weakening", "an update turns Retain into Delete"},
	},
	blocks: typed(logic[v1alpha1.RetentionPolicy]{
		params: func(r *v1alpha1.Rules) *v1alpha1.RetentionPolicy { return r.RetentionPolicy },
		object: retainsAsRequired,
		change: weakensRetention,
		fills:  func(p v1alpha1.RetentionPolicy) bool { return p.Default != nil },
		fill:   fillRetention,
	}),
	Cases: []Case{
		{
			Name: "the required value", Policy: "action: Deny, require: {whenDeleted: Retain}",
			New: `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Delete}}}`,
		},
		{
			Name: "another value than the required one", Policy: "action: Deny, require: {whenDeleted: Retain, whenScaled: Retain}",
			New:  `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}}}`,
			Want: []string{"required", "required"},
		},
		{
			Name: "an update of a StatefulSet that had another value before", Policy: "action: Deny, require: {whenScaled: Retain}",
			Old:  `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}`,
			New:  `{kind: StatefulSet, spec: {replicas: 5, persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}`,
			Want: []string{"required:Warn"},
		},
		{
			Name: "Retain becomes Delete",
			Old:  `kind: StatefulSet`,
			New:  `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}`,
			Want: []string{"weakening"},
		},
		{
			Name: "Delete becomes Retain",
			Old:  `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}`,
			New:  `kind: StatefulSet`,
		},
		{
			Name: "Retain becomes Delete where there are no claims",
			Old:  `{kind: StatefulSet, spec: {volumeClaimTemplates: null, template: {spec: {containers: [{name: db, volumeMounts: null}]}}}}`,
			New: `{kind: StatefulSet, spec: {volumeClaimTemplates: null, template: {spec: {containers: [{name: db, volumeMounts: null}]}},
       persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}`,
		},
	},
}

const retentionPath = "spec.persistentVolumeClaimRetentionPolicy"

// retentionPart is one of the two halves of a retention policy.
type retentionPart struct {
	path  string
	value *appsv1.PersistentVolumeClaimRetentionPolicyType
	// when is what it is about, to end a sentence with.
	when string
}

func retentionParts(p *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy) [2]retentionPart {
	return [2]retentionPart{
		{retentionPath + ".whenDeleted", &p.WhenDeleted, "the StatefulSet is deleted"},
		{retentionPath + ".whenScaled", &p.WhenScaled, "a scale-down takes their Pod away"},
	}
}

// wishes are the two halves that a policy asks for, empty where it asks for nothing.
func wishes(v *v1alpha1.RetentionValues) [2]retentionPart {
	return retentionParts((*appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy)(v))
}

func retainsAsRequired(o Object, _ Cluster, p v1alpha1.RetentionPolicy) ([]Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if p.Require == nil || len(set.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	var found []Finding
	want := wishes(p.Require)
	for i, part := range retentionParts(retentionOf(set)) {
		if *want[i].value == "" || *want[i].value == *part.value {
			continue
		}
		found = append(found, Finding{
			Check: "required", Path: part.path,
			Message: fmt.Sprintf("The claims of StatefulSet %s would be under %s when %s; the policy requires %s.",
				set.Name, *part.value, part.when, *want[i].value),
			Remedy: fmt.Sprintf("set %s: %s", part.path, *want[i].value),
		})
	}
	return found, nil
}

func weakensRetention(ch Change, _ Cluster, p v1alpha1.RetentionPolicy) ([]Finding, error) {
	older, newer, ok := statefulSets(ch)
	if !ok || len(newer.Spec.VolumeClaimTemplates) == 0 {
		return nil, nil
	}
	var found []Finding
	was := retentionParts(retentionOf(older))
	for i, is := range retentionParts(retentionOf(newer)) {
		if *was[i].value == *is.value || *is.value != appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
			continue
		}
		found = append(found, Finding{
			Check: "weakening", Path: is.path, Action: p.Weakening,
			Message: fmt.Sprintf("From now on the claims of StatefulSet %s would be deleted, with their data, when %s; until now they were kept.",
				newer.Name, is.when),
			Remedy: fmt.Sprintf("leave %s: %s, and delete claims by name once their data is not needed.", is.path, *was[i].value),
		})
	}
	return found, nil
}

func fillRetention(d *Defaults, p v1alpha1.RetentionPolicy) {
	set := d.Object.(*appsv1.StatefulSet)
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		return
	}
	policy, changed := retentionOf(set), false
	want := wishes(p.Default)
	for i, part := range retentionParts(policy) {
		if *want[i].value == appsv1.DeletePersistentVolumeClaimRetentionPolicyType && !d.Creating {
			// Claims that were kept until now are not to be lost to a default.
			continue
		}
		if fill(d, part.path, part.value, *want[i].value, appsv1.RetainPersistentVolumeClaimRetentionPolicyType) {
			changed = true
		}
	}
	if changed {
		set.Spec.PersistentVolumeClaimRetentionPolicy = policy
		d.put(retentionPath, policy)
	}
}

// retentionOf returns a copy of the StatefulSet's retention policy, Retain where it has none.
func retentionOf(set *appsv1.StatefulSet) *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	policy := appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{}
	if is := set.Spec.PersistentVolumeClaimRetentionPolicy; is != nil {
		policy = *is
	}
	setDefault(&policy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	setDefault(&policy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	return &policy
}
