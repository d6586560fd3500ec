// Package rules has Mooring's rules, one file each: the text, the action in each profile, and pure functions that judge. The cases
// that test and document a rule are in testdata, in a file with the rule's name.
package rules

import (
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// All are the rules, by ID.
var All = []policies.Rule{
	autoscalerFloor,
	blockedDrain,
	claimAdoption,
	claimAtRisk,
	claimMount,
	claimTemplate,
	deleteProtection,
	disruptionBudget,
	forceDelete,
	headlessService,
	immutableFields,
	lostOwner,
	memberDown,
	neededObject,
	nodeDisruption,
	notReadyAddresses,
	ordinalShift,
	orphanedClaim,
	ownerDelete,
	ownerScale,
	podDisruption,
	podSelector,
	profileLabel,
	protectLabel,
	quotaRoom,
	readiness,
	retainedClaim,
	retentionPolicy,
	scaleDown,
	scaleUp,
	sharedClaim,
	spread,
	stuckRollout,
	terminationGrace,
	unknownField,
	unsafeRollout,
	updateStrategy,
	volumeReclaim,
	volumeRetain,
}

// Judge reports whether any rule judges objects of the kind in a cluster.
func Judge(kind *kinds.Kind) bool {
	return slices.ContainsFunc(All, func(rule policies.Rule) bool {
		return slices.ContainsFunc(rule.On, func(t policies.Trigger) bool { return t.Kind == kind && !t.FilesOnly })
	})
}

// The actions of rules in the profiles.
var (
	deny  = v1alpha1.Enforcement{Action: v1alpha1.Deny}
	warn  = v1alpha1.Enforcement{Action: v1alpha1.Warn}
	audit = v1alpha1.Enforcement{Action: v1alpha1.Audit}
)

// The operations that rules judge.
const (
	create = admissionv1.Create
	update = admissionv1.Update
	remove = admissionv1.Delete
)

const (
	retentionPath = "spec.persistentVolumeClaimRetentionPolicy"
	strategyPath  = "spec.updateStrategy"
)

// awaitRollout is the command that waits for the end of a rollout, and rollBack how to go back. kubectl rollout knows built-in kinds alone.
func awaitRollout(set *appsv1.StatefulSet) string {
	if kinds.IsAdvanced(set) {
		return fmt.Sprintf("%s --for=jsonpath='{.status.updatedReplicas}'=%d", policies.Command("wait", set), statefulset.Rolls(set))
	}
	return policies.Command("rollout status", set)
}

func rollBack(set *appsv1.StatefulSet) string {
	if kinds.IsAdvanced(set) {
		return "apply the Pod template that it had before"
	}
	return policies.Command("rollout undo", set)
}
