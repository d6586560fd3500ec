package native

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// check is one finding of a rule, as CEL expressions on the variables of its target.
type check struct {
	target, rule, name string
	action             v1alpha1.Action
	// holds is true if the object violates the check; standing, if it did before the update. message states the problem.
	holds, standing, message string
}

// checksOf returns the checks of a policy that the API server can make by itself.
func checksOf(policy *v1alpha1.StatefulPolicy) []check {
	var out []check
	r := policy.Spec.Rules
	if p := r.ScaleDown; p != nil {
		out = append(out, scaleDown(onWrite, *p)...)
		out = append(out, scaleDown(onScale, *p)...)
	}
	if p := r.RetentionPolicy; p != nil {
		out = append(out, retention(*p)...)
	}
	if p := r.UpdateStrategy; p != nil && p.Require != "" {
		out = append(out, updateStrategy(*p))
	}
	if p := r.TerminationGrace; p != nil {
		out = append(out, terminationGrace(*p))
	}
	if p := r.DeleteProtection; p != nil {
		out = append(out, deleteProtection(*p)...)
	}
	return out
}

// scaleDown sees how many Pods are ready, but not which ones. It assumes that as many ready Pods stay as possible, so it can miss
// an outage but never refuses a safe request.
func scaleDown(target string, p v1alpha1.ScaleDown) []check {
	concerned, subject := "variables.stay < variables.from", "object"
	if target == onScale {
		concerned, subject = "variables.concerned && "+concerned, "params"
	}
	newCheck := func(name string, action v1alpha1.Action, holds, message string) check {
		return check{
			target: target, rule: "scale-down", name: name, action: cmp.Or(action, p.Action),
			holds:   concerned + " && " + holds,
			message: "'Scaling StatefulSet ' + variables.name + ' from ' + string(variables.from) + ' to ' + string(variables.to) + " + message,
		}
	}
	// If the policy is laxer for a StatefulSet without claims, the API server checks only those with claims.
	withData := ""
	if p.WithoutData != "" && v1alpha1.Deny.Stricter(p.WithoutData) {
		withData = "size(" + subject + ".spec.?volumeClaimTemplates.orValue([])) > 0 && "
	}
	checks := []check{
		newCheck("quorum", p.Quorum,
			withData+"variables.to > 0 && variables.ready > variables.stay && variables.stay < variables.ready / 2 + 1",
			"' leaves at most ' + string(variables.stay) + ' of ' + string(variables.ready) + ' ready members; a majority is ' + string(variables.ready / 2 + 1) + '. Scale down in smaller steps.'"),
		newCheck("to-zero", p.ToZero, withData+"variables.to == 0", "' stops all of its Pods.'"),
	}
	if p.MaxStep != nil {
		checks = append(checks, newCheck("step", p.Step, fmt.Sprintf("variables.from - variables.stay > %d", *p.MaxStep),
			fmt.Sprintf("' removes ' + string(variables.from - variables.stay) + ' Pods at once; the policy allows %d at a time.'", *p.MaxStep)))
	}
	if p.MinReplicas != nil {
		checks = append(checks, newCheck("floor", p.Floor, fmt.Sprintf("variables.to < %d", *p.MinReplicas),
			fmt.Sprintf("' leaves fewer replicas than the policy requires (minReplicas: %d).'", *p.MinReplicas)))
	}
	return checks
}

func retention(p v1alpha1.RetentionPolicy) []check {
	var out []check
	require := v1alpha1.RetentionValues{}
	if p.Require != nil {
		require = *p.Require
	}
	for _, part := range []struct {
		field string
		want  appsv1.PersistentVolumeClaimRetentionPolicyType
	}{{"whenDeleted", require.WhenDeleted}, {"whenScaled", require.WhenScaled}} {
		value := func(of string) string {
			return of + ".spec.?persistentVolumeClaimRetentionPolicy.?" + part.field + ".orValue('Retain')"
		}
		if part.want != "" {
			out = append(out, check{
				target: onWrite, rule: "retention-policy", name: "required", action: p.Action,
				holds:    fmt.Sprintf("variables.claims && %s != %s", value("object"), quote(string(part.want))),
				standing: fmt.Sprintf("variables.updates && size(oldObject.spec.?volumeClaimTemplates.orValue([])) > 0 && %s != %s", value("oldObject"), quote(string(part.want))),
				message:  fmt.Sprintf("'The policy requires spec.persistentVolumeClaimRetentionPolicy.%s: %s of StatefulSet ' + variables.name + '.'", part.field, part.want),
			})
		}
		out = append(out, check{
			target: onWrite, rule: "retention-policy", name: "weakening", action: cmp.Or(p.Weakening, p.Action),
			holds:   fmt.Sprintf("variables.updates && variables.claims && %s != 'Delete' && %s == 'Delete'", value("oldObject"), value("object")),
			message: fmt.Sprintf("'spec.persistentVolumeClaimRetentionPolicy.%s: Delete lets Kubernetes delete the claims of StatefulSet ' + variables.name + ' with their data. So far they are retained.'", part.field),
		})
	}
	return out
}

func updateStrategy(p v1alpha1.UpdateStrategy) check {
	other := func(of string) string {
		return fmt.Sprintf("%s.spec.?updateStrategy.?type.orValue('RollingUpdate') != %s", of, quote(string(p.Require)))
	}
	return check{
		target: onWrite, rule: "update-strategy", name: "required", action: p.Action,
		holds: other("object"), standing: "variables.updates && " + other("oldObject"),
		message: fmt.Sprintf("'The policy requires spec.updateStrategy.type: %s of StatefulSet ' + variables.name + '.'", p.Require),
	}
}

func terminationGrace(p v1alpha1.TerminationGrace) check {
	none := func(of string) string {
		return of + ".spec.template.spec.?terminationGracePeriodSeconds.orValue(30) == 0"
	}
	return check{
		target: onWrite, rule: "termination-grace", name: "zero", action: p.Action,
		holds: none("object"), standing: "variables.updates && " + none("oldObject"),
		message: "'terminationGracePeriodSeconds: 0 kills the Pods of StatefulSet ' + variables.name + ' without time to stop.'",
	}
}

func deleteProtection(p v1alpha1.DeleteProtection) []check {
	newCheck := func(target, name string, action v1alpha1.Action, holds, message string) check {
		return check{
			target: target, rule: "delete-protection", name: name, action: cmp.Or(action, p.Action),
			holds: "!variables.namespaceGoes && " + holds, message: message,
		}
	}
	labeled := func(o string) string {
		return fmt.Sprintf("%s.metadata.?labels[?%s].orValue('') == 'true'", o, quote(policies.ProtectLabel))
	}
	const templates = "size(%s.spec.?volumeClaimTemplates.orValue([])) > 0 && %[1]s.?status.?replicas.orValue(0) > 0"
	return []check{
		newCheck(onLabeled, "protected", p.Protected, labeled("oldObject"),
			"oldObject.metadata.name + ' is labeled "+policies.ProtectLabel+"=true, which prevents its deletion. To delete it, remove the label first.'"),
		// Members have claims while they run. After a scale-down to zero the API server cannot tell.
		newCheck(onDelete, "data", p.Data,
			"oldObject.spec.?persistentVolumeClaimRetentionPolicy.?whenDeleted.orValue('Retain') == 'Delete' && "+
				fmt.Sprintf(templates, "oldObject")+" && "+
				"!(request.options.?orphanDependents.hasValue() ? request.options.orphanDependents : request.options.?propagationPolicy.hasValue() ? request.options.propagationPolicy == 'Orphan' : 'orphan' in oldObject.metadata.?finalizers.orValue([]))",
			"'Deleting StatefulSet ' + oldObject.metadata.name + ' deletes its claims and their data (whenDeleted: Delete).'"),
		newCheck(onClaims, "in-use", p.InUse,
			"oldObject.?status.?phase.orValue('') == 'Bound' && !has(params.metadata.deletionTimestamp) && params.spec.?volumeClaimTemplates.orValue([]).map(t, t.metadata.name + '-' + params.metadata.name + '-')"+
				".filter(p, oldObject.metadata.name.startsWith(p)).map(p, oldObject.metadata.name.substring(size(p)))"+
				".exists(n, n.matches('^(0|[1-9][0-9]{0,8})$') && int(n) >= params.spec.?ordinals.?start.orValue(0) && int(n) < params.spec.?ordinals.?start.orValue(0) + params.spec.?replicas.orValue(1))",
			"'PVC ' + oldObject.metadata.name + ' holds the data of a member of StatefulSet ' + params.metadata.name + '.'"),
		newCheck(onNamespaces, "namespace", p.Namespace, fmt.Sprintf(templates, "params"),
			"'Deleting namespace ' + oldObject.metadata.name + ' deletes the claims of StatefulSet ' + params.metadata.name + ' and their data.'"),
		newCheck(onNamespaces, "protected", p.Protected, labeled("params"),
			"'Namespace ' + oldObject.metadata.name + ' holds StatefulSet ' + params.metadata.name + ', which is labeled "+policies.ProtectLabel+"=true.'"),
	}
}
