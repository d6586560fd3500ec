package compat

const (
	budgets      = "[sig-apps] DisruptionController "
	statefulSets = "[sig-apps] StatefulSet "
	basic        = statefulSets + "Basic StatefulSet functionality [StatefulSetBasic] "
	nonRetain    = statefulSets + "Non-retain StatefulSetPersistentVolumeClaimPolicy "
)

// e2eRefused lists what baseline refuses in Kubernetes' own cases, and why a user of baseline wants that.
var e2eRefused = map[string][]refusal{
	statefulSets + "AvailableReplicas should get updated accordingly when MinReadySeconds is enabled": {noNames},
	statefulSets + "MinReadySeconds should be honored when enabled":                                   {noNames},
	basic + "should list, patch and delete a collection of StatefulSets [Conformance]": {
		{finding: "headless-service/selector", request: "create statefulsets", why: "the Service selects none of the Pods, so they get no DNS names"},
	},
	nonRetain + "should delete PVCs with a WhenDeleted policy":                                     {dataGoes},
	nonRetain + "should delete PVCs after adopting pod (WhenDeleted)":                              {dataGoes},
	nonRetain + "should delete PVCs with a OnScaledown policy":                                     {scaledGoes, fewerThanMost},
	nonRetain + "should delete PVCs after adopting pod (WhenScaled)":                               {scaledGoes, fewerThanMost},
	nonRetain + "should not delete PVC with OnScaledown policy if another controller owns the PVC": {scaledGoes, allGoes},
	nonRetain + "should not delete PVCs when there is another controller": {
		{finding: "lost-owner/missing", request: "update persistentvolumeclaims", why: "the new owner of the claim does not exist, so the garbage collector would delete the claim and its data"},
	},
}

var (
	noNames       = refusal{finding: "headless-service/missing", request: "create statefulsets", why: "the governing Service, which gives the Pods their DNS names, does not exist, and serviceName is immutable"}
	dataGoes      = refusal{finding: "delete-protection/data", request: "delete statefulsets", why: "whenDeleted is Delete: the claims and their data are deleted with the StatefulSet"}
	scaledGoes    = refusal{finding: "scale-down/data", request: "update statefulsets", why: "whenScaled is Delete: the claims of the removed members and their data are deleted"}
	fewerThanMost = refusal{finding: "scale-down/quorum", request: "update statefulsets", why: "the remaining members are not a majority, and the members hold data"}
	allGoes       = refusal{finding: "scale-down/to-zero", request: "update statefulsets", why: "no member remains, and the members hold data"}
)

const (
	needsProbe   = "a readiness probe must fail, and then succeed"
	needsFailure = "a kubelet must stop the containers of a Pod that a finalizer keeps"
	needsKubelet = "a kubelet must reject a Pod because another Pod uses its host port"
)

// e2eNeedsContainers lists the cases that cannot pass on simulated nodes, and why.
var e2eNeedsContainers = map[string]string{
	budgets + "evictions: maxUnavailable deny evictions, integer => should not allow an eviction [Serial]":                                                needsKubelet,
	budgets + "evictions: too few pods, replicaSet, percentage => should not allow an eviction [Serial]":                                                  needsKubelet,
	budgets + "should evict ready pods with AlwaysAllow UnhealthyPodEvictionPolicy":                                                                       needsProbe,
	budgets + "should evict ready pods with Default UnhealthyPodEvictionPolicy":                                                                           needsProbe,
	budgets + "should evict ready pods with IfHealthyBudget UnhealthyPodEvictionPolicy":                                                                   needsProbe,
	budgets + "should evict unready pods with AlwaysAllow UnhealthyPodEvictionPolicy":                                                                     needsProbe,
	budgets + "should not evict unready pods with Default UnhealthyPodEvictionPolicy":                                                                     needsProbe,
	budgets + "should not evict unready pods with IfHealthyBudget UnhealthyPodEvictionPolicy":                                                             needsProbe,
	basic + "Should recreate evicted statefulset [Conformance]":                                                                                           needsKubelet,
	basic + "Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Conformance] [Slow]":                                   needsProbe,
	basic + "should adopt matching orphans and release non-matching pods":                                                                                 needsProbe,
	basic + "should not deadlock when a pod's predecessor fails":                                                                                          needsProbe,
	basic + "should perform canary updates and phased rolling updates of template modifications for partiton1 and delete pod-0 with failing container":    needsFailure,
	basic + "should perform canary updates and phased rolling updates of template modifications for partiton1 and delete pod-0 without failing container": needsFailure,
	basic + "should provide basic identity":                                                                                                               needsProbe,
}

// e2eQuick lists the cases of the quick part.
var e2eQuick = []string{
	basic + "should have a working scale subresource [Conformance]",
	nonRetain + "should delete PVCs with a WhenDeleted policy",
	statefulSets + "Scaling StatefulSetStartOrdinal Decreasing .start.ordinal",
}
