package compat

import "strings"

const (
	statefulSets = "[sig-apps] StatefulSet "
	basic        = statefulSets + "Basic StatefulSet functionality [StatefulSetBasic] "
	nonRetain    = statefulSets + "Non-retain StatefulSetPersistentVolumeClaimPolicy "
	// tidying is what is refused once a case has failed and what it made is cleared away.
	tidying = "scale-down/to-zero, delete-protection/namespace"
)

// e2eRefused are Kubernetes' cases that baseline refuses, and why a user of baseline wants that.
var e2eRefused = map[string]e2eAllowance{
	statefulSets + "AvailableReplicas should get updated accordingly when MinReadySeconds is enabled": {"headless-service/missing", noNames},
	statefulSets + "MinReadySeconds should be honored when enabled":                                   {"headless-service/missing", noNames},
	basic + "should list, patch and delete a collection of StatefulSets [Conformance]":                {"headless-service/selector", "the Service selects none of the Pods, which get no DNS names"},
	nonRetain + "should delete PVCs with a WhenDeleted policy":                                        {allOf("delete-protection/data", tidying), dataGoes},
	nonRetain + "should delete PVCs after adopting pod (WhenDeleted)":                                 {allOf("delete-protection/data", tidying), dataGoes},
	nonRetain + "should delete PVCs with a OnScaledown policy":                                        {allOf("scale-down/data", "scale-down/quorum", tidying), scaledGoes},
	nonRetain + "should delete PVCs after adopting pod (WhenScaled)":                                  {allOf("scale-down/data", "scale-down/quorum", tidying), scaledGoes},
	nonRetain + "should not delete PVC with OnScaledown policy if another controller owns the PVC":    {allOf("scale-down/data", tidying), scaledGoes},
	nonRetain + "should not delete PVCs when there is another controller":                             {allOf("delete-protection/data", "delete-protection/finalizer", "scale-down/data", tidying), dataGoes},
}

const (
	noNames    = "the Service that gives the Pods their DNS names does not exist, and serviceName cannot be changed later"
	dataGoes   = "whenDeleted is Delete: the claims and their data go with the StatefulSet"
	scaledGoes = "whenScaled is Delete: the claims of the members that go are deleted, and their data"
)

func allOf(findings ...string) string { return strings.Join(findings, ", ") }

// e2eQuick are the cases for the quick part.
var e2eQuick = []string{}
