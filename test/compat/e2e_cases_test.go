package compat

const (
	statefulSets = "[sig-apps] StatefulSet "
	basic        = statefulSets + "Basic StatefulSet functionality [StatefulSetBasic] "
	nonRetain    = statefulSets + "Non-retain StatefulSetPersistentVolumeClaimPolicy "
)

// e2eRefused is what baseline refuses of Kubernetes' cases, and why a user of baseline wants that.
var e2eRefused = map[string][]refusal{}

// e2eNeedsContainers are the cases that do not pass on simulated nodes, and why.
var e2eNeedsContainers = map[string]string{}

// e2eQuick are the cases for the quick part.
var e2eQuick = []string{}
