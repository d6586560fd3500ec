package v1alpha1

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// StatefulPolicy selects stateful workloads and the rules that guard them.
//
// +kubebuilder:object:root=true
// +kubebuilder:validation:XValidation:rule="!(self.metadata.name in ['baseline', 'restricted'])",message="metadata.name is that of a profile; call the policy something else"
// +kubebuilder:resource:scope=Cluster,shortName=spol,categories=mooring
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Profile",type=string,JSONPath=`.spec.profile`
// +kubebuilder:printcolumn:name="Exceptions",type=string,JSONPath=`.status.exceptions`
// +kubebuilder:printcolumn:name="Denies",type=string,JSONPath=`.status.denies`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Priority",type=integer,priority=1,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type StatefulPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec StatefulPolicySpec `json:"spec"`
	// status is the state of the policy, written by Mooring.
	// +optional
	Status StatefulPolicyStatus `json:"status,omitempty"`
}

// StatefulPolicyStatus is the state of a policy, written by Mooring.
type StatefulPolicyStatus struct {
	// denies lists the rules with which the policy refuses requests.
	// +listType=set
	// +optional
	Denies []string `json:"denies,omitempty"`
	// exceptions lists the rules, or rule/check, that the policy's exceptions relax at present.
	// +listType=set
	// +optional
	Exceptions []string `json:"exceptions,omitempty"`
	// conditions has the condition Ready. It is True while the policy is in force, and its message says what looks wrong with the
	// policy.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ConditionReady is True while a policy is in force and every object that it names exists.
const ConditionReady = "Ready"

// StatefulPolicyList is a list of StatefulPolicies.
//
// +kubebuilder:object:root=true
type StatefulPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []StatefulPolicy `json:"items"`
}

// StatefulPolicySpec is the desired behavior of a policy.
type StatefulPolicySpec struct {
	// mode caps the action of every rule. Enforce changes no action, Warn turns denials into warnings, and Audit only reports
	// findings and defaults, without warnings or changes to the request.
	// +kubebuilder:default=Enforce
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// match selects the requests that this policy judges. Empty matches all namespaces and objects.
	// +optional
	Match Match `json:"match,omitempty"`

	// priority decides which default applies if several policies have one for the same field: the highest priority wins, then the
	// first by name. Actions need no priority: the strictest always wins.
	// +optional
	Priority int32 `json:"priority,omitempty"`

	// profile sets the profile of the requests that this policy matches: off, baseline or restricted. The namespace's label
	// mooring.dev/profile wins over it; of several policies, the strictest profile wins. If absent, the policy adds to the profile
	// that the namespace has.
	// +kubebuilder:validation:Enum=off;baseline;restricted
	// +optional
	Profile string `json:"profile,omitempty"`

	// exceptions relax the findings of the profile and of other policies for the requests that this policy matches.
	// +listType=atomic
	// +optional
	Exceptions []Exception `json:"exceptions,omitempty"`

	// operators are service accounts, as namespace/name, that count as the operator of all matching objects that a custom resource
	// owns. By default, a service account is the operator if it can update the owner's status.
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[^/]+/[^/]+$`
	// +optional
	Operators []string `json:"operators,omitempty"`

	// operatorOwned is how objects that a custom resource owns are judged. Warn, the default, sets no defaults, because the
	// operator would overwrite them, and only warns their operator. Enforce judges them like all other objects.
	// +kubebuilder:default=Warn
	// +optional
	OperatorOwned OperatorOwned `json:"operatorOwned,omitempty"`

	// owners are custom resources from a field of which their operator sets the replicas of StatefulSets. Fields of scale
	// subresources and of well-known operators need no entry. An entry applies in all namespaces.
	// +listType=atomic
	// +optional
	Owners []Owner `json:"owners,omitempty"`

	// bypassGroupLabel is the label of StatefulSets in a namespace that belong together, such as rollout-group, with which
	// rollout-operator groups zones. A bypass on one of them also applies to the others, if the user who makes the request can
	// bypass.
	// +optional
	BypassGroupLabel string `json:"bypassGroupLabel,omitempty"`

	// rules has one block for each rule. A rule without a block is off.
	// +optional
	Rules Rules `json:"rules,omitempty"`
}

// Owner names the field of a custom resource from which its operator sets the replicas of the StatefulSets that it owns.
type Owner struct {
	// group is the API group of the custom resource, such as db.example.com.
	// +kubebuilder:validation:Pattern=`^[a-z0-9-]+(\.[a-z0-9-]+)+$`
	Group string `json:"group"`
	// kind is the kind of the custom resource, such as Database.
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9]*$`
	Kind string `json:"kind"`
	// replicasPath is the field, such as spec.replicas, or spec.pools[*].replicas in the items of a list.
	// +kubebuilder:validation:Pattern=`^spec(\.[A-Za-z_][A-Za-z0-9_-]*)+(\[\*\](\.[A-Za-z_][A-Za-z0-9_-]*)+)?$`
	ReplicasPath string `json:"replicasPath"`
}

// Exception relaxes a rule.
type Exception struct {
	// rule is the rule's ID, such as scale-down.
	// +kubebuilder:validation:MinLength=1
	Rule string `json:"rule"`
	// checks are the checks of the rule to relax, such as to-zero. Defaults to all of them.
	// +listType=set
	// +optional
	Checks []string `json:"checks,omitempty"`
	// action is the strictest action that a finding can have. Off hides the finding.
	// +kubebuilder:validation:Enum=Warn;Audit;Off
	// +kubebuilder:validation:XValidation:rule="self != 'Deny'",message="an exception relaxes: Warn, Audit or Off"
	// +kubebuilder:default=Warn
	// +optional
	Action Action `json:"action,omitempty"`
	// reason is shown with each finding that the exception relaxes.
	// +kubebuilder:validation:Pattern=`\S`
	Reason string `json:"reason"`
	// until is when the exception ends. If absent, it has no end.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// Mode caps the actions of a policy.
//
// +kubebuilder:validation:Enum=Enforce;Warn;Audit
type Mode string

// The modes, the strictest first.
const (
	ModeEnforce Mode = "Enforce"
	ModeWarn    Mode = "Warn"
	ModeAudit   Mode = "Audit"
)

// OperatorOwned is how objects are judged whose controller is a custom resource.
//
// +kubebuilder:validation:Enum=Warn;Enforce
type OperatorOwned string

// The values of OperatorOwned.
const (
	OperatorOwnedWarn    OperatorOwned = "Warn"
	OperatorOwnedEnforce OperatorOwned = "Enforce"
)

// Action is what a finding does to the request. In YAML, quote "Off": without quotes it is a boolean.
//
// +kubebuilder:validation:Enum=Deny;Warn;Audit;Off
type Action string

// The actions, the strictest first.
const (
	Deny  Action = "Deny"
	Warn  Action = "Warn"
	Audit Action = "Audit"
	Off   Action = "Off"
)

// actions are the actions from the laxest to the strictest.
var actions = []Action{Off, Audit, Warn, Deny}

// Compare orders actions by strictness: the result is negative if a is laxer than b. An absent action is Off.
func (a Action) Compare(b Action) int {
	return max(0, slices.Index(actions, a)) - max(0, slices.Index(actions, b))
}

// Stricter reports whether a is stricter than b.
func (a Action) Stricter(b Action) bool { return a.Compare(b) > 0 }

// AtMost returns the laxer of a and most.
func (a Action) AtMost(most Action) Action {
	if a.Stricter(most) {
		return most
	}
	return a
}

// Match selects requests. All parts must match.
type Match struct {
	// namespaceSelector selects namespaces by label. Empty or absent selects all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// objectSelector selects objects by label, before or after the change. A request to scale has the labels of its StatefulSet.
	// Empty or absent selects all.
	// +optional
	ObjectSelector *metav1.LabelSelector `json:"objectSelector,omitempty"`

	// exclude lists what this policy never judges.
	// +optional
	Exclude Exclude `json:"exclude,omitempty"`
}

// Exclude lists namespaces and users that a policy does not judge.
type Exclude struct {
	// namespaces lists namespaces by name. Patterns are not supported.
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`
	// users lists users by their name in the API server.
	// +listType=set
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	Users []string `json:"users,omitempty"`
	// groups lists groups of users.
	// +listType=set
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	Groups []string `json:"groups,omitempty"`
	// serviceAccounts lists service accounts as namespace/name.
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[^/]+/[^/]+$`
	// +optional
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
}

// Rules has one block for each rule, with its action and parameters.
type Rules struct {
	// autoscalerFloor: how low a HorizontalPodAutoscaler can scale a StatefulSet.
	// +optional
	AutoscalerFloor *AutoscalerFloor `json:"autoscalerFloor,omitempty"`
	// claimAdoption: existing claims that a new StatefulSet would use.
	// +optional
	ClaimAdoption *ClaimAdoption `json:"claimAdoption,omitempty"`
	// claimTemplate: the storage that claims request.
	// +optional
	ClaimTemplate *ClaimTemplate `json:"claimTemplate,omitempty"`
	// deleteProtection: deletes that destroy data.
	// +optional
	DeleteProtection *DeleteProtection `json:"deleteProtection,omitempty"`
	// disruptionBudget: PodDisruptionBudgets of StatefulSets.
	// +optional
	DisruptionBudget *DisruptionBudget `json:"disruptionBudget,omitempty"`
	// forceDelete: deletes of running Pods without a grace period.
	// +optional
	ForceDelete *ForceDelete `json:"forceDelete,omitempty"`
	// headlessService: the governing Service exists, is headless and selects the Pods.
	// +optional
	HeadlessService *HeadlessService `json:"headlessService,omitempty"`
	// immutableFields: changes that the API server refuses.
	// +optional
	ImmutableFields *ImmutableFields `json:"immutableFields,omitempty"`
	// notReadyAddresses: DNS names of Pods that are not ready yet.
	// +optional
	NotReadyAddresses *NotReadyAddresses `json:"notReadyAddresses,omitempty"`
	// ordinalShift: a new start ordinal that leaves claims behind.
	// +optional
	OrdinalShift *OrdinalShift `json:"ordinalShift,omitempty"`
	// readiness: readiness probes.
	// +optional
	Readiness *Readiness `json:"readiness,omitempty"`
	// retainedClaim: deletes of claims that a scale-down kept.
	// +optional
	RetainedClaim *RetainedClaim `json:"retainedClaim,omitempty"`
	// retentionPolicy: whether claims are deleted with the StatefulSet or on scale-down.
	// +optional
	RetentionPolicy *RetentionPolicy `json:"retentionPolicy,omitempty"`
	// scaleDown: scale-downs that remove a majority, too many Pods, or data.
	// +optional
	ScaleDown *ScaleDown `json:"scaleDown,omitempty"`
	// sharedClaim: claims that several Pods share.
	// +optional
	SharedClaim *SharedClaim `json:"sharedClaim,omitempty"`
	// spread: Pods on different nodes.
	// +optional
	Spread *Spread `json:"spread,omitempty"`
	// terminationGrace: the time that Pods get to stop.
	// +optional
	TerminationGrace *TerminationGrace `json:"terminationGrace,omitempty"`
	// unsafeRollout: rollouts that start while a member is down.
	// +optional
	UnsafeRollout *UnsafeRollout `json:"unsafeRollout,omitempty"`
	// updateStrategy: how a new template is rolled out.
	// +optional
	UpdateStrategy *UpdateStrategy `json:"updateStrategy,omitempty"`
	// blockedDrain: PodDisruptionBudgets that allow no eviction from a healthy StatefulSet.
	// +optional
	BlockedDrain *BlockedDrain `json:"blockedDrain,omitempty"`
	// claimAtRisk: claims whose deletion also deletes the volume.
	// +optional
	ClaimAtRisk *ClaimAtRisk `json:"claimAtRisk,omitempty"`
	// memberDown: members that are not ready for too long.
	// +optional
	MemberDown *MemberDown `json:"memberDown,omitempty"`
	// orphanedClaim: claims of deleted StatefulSets.
	// +optional
	OrphanedClaim *OrphanedClaim `json:"orphanedClaim,omitempty"`
	// profileLabel: invalid values of the labels mooring.dev/profile and mooring.dev/mode.
	// +optional
	ProfileLabel *ProfileLabel `json:"profileLabel,omitempty"`
	// protectLabel: values of the label mooring.dev/protect that protect nothing.
	// +optional
	ProtectLabel *ProtectLabel `json:"protectLabel,omitempty"`
	// stuckRollout: rollouts that make no progress.
	// +optional
	StuckRollout *StuckRollout `json:"stuckRollout,omitempty"`
	// volumeReclaim: the reclaim policy of volumes.
	// +optional
	VolumeReclaim *VolumeReclaim `json:"volumeReclaim,omitempty"`
	// lostOwner: owner references to objects that do not exist.
	// +optional
	LostOwner *LostOwner `json:"lostOwner,omitempty"`
	// ownerDelete: deletes of custom resources that own StatefulSets and claims.
	// +optional
	OwnerDelete *OwnerDelete `json:"ownerDelete,omitempty"`
	// ownerScale: scale-downs of StatefulSets through the custom resource that owns them.
	// +optional
	OwnerScale *OwnerScale `json:"ownerScale,omitempty"`
	// podDisruption: deletes and evictions of members while others are down.
	// +optional
	PodDisruption *PodDisruption `json:"podDisruption,omitempty"`
	// volumeRetain: volumes of StatefulSets whose reclaim policy changes from Retain.
	// +optional
	VolumeRetain *VolumeRetain `json:"volumeRetain,omitempty"`
	// neededObject: deletes of objects that the Pods of StatefulSets need to start.
	// +optional
	NeededObject *NeededObject `json:"neededObject,omitempty"`
	// claimMount: where containers mount the claims.
	// +optional
	ClaimMount *ClaimMount `json:"claimMount,omitempty"`
	// unknownField: misspelled fields in files.
	// +optional
	UnknownField *UnknownField `json:"unknownField,omitempty"`
	// scaleUp: new members that start without data.
	// +optional
	ScaleUp *ScaleUp `json:"scaleUp,omitempty"`
	// podSelector: Pods that leave their StatefulSet, or that two workloads select.
	// +optional
	PodSelector *PodSelector `json:"podSelector,omitempty"`
	// nodeDisruption: nodes with members that are deleted, or that get a taint that evicts Pods.
	// +optional
	NodeDisruption *NodeDisruption `json:"nodeDisruption,omitempty"`
	// quotaRoom: ResourceQuotas that leave no room for members to restart.
	// +optional
	QuotaRoom *QuotaRoom `json:"quotaRoom,omitempty"`
}

// Enforcement is the common part of all rules' blocks.
type Enforcement struct {
	// action of the rule's findings.
	Action Action `json:"action"`
}

// RuleAction returns the action of findings whose check has none of its own.
func (e Enforcement) RuleAction() Action { return e.Action }

// LostOwner has the parameters of the rule lost-owner.
type LostOwner struct {
	Enforcement `json:",inline"`
}

// OwnerDelete has the parameters of the rule owner-delete.
type OwnerDelete struct {
	Enforcement `json:",inline"`
	// data: claims of StatefulSets, or of Pods that run forever, would be deleted.
	// +optional
	Data Action `json:"data,omitempty"`
	// members: StatefulSets would be deleted, and ready Pods would stop.
	// +optional
	Members Action `json:"members,omitempty"`
	// otherClaims: other claims would be deleted, such as those of a pipeline run or a virtual machine.
	// +optional
	OtherClaims Action `json:"otherClaims,omitempty"`
}

// OwnerScale has the parameters of the rule owner-scale. The other parameters are those of the policy's block scaleDown.
type OwnerScale struct {
	Enforcement `json:",inline"`
	// data: claims of the removed ordinals would be deleted. Defaults to the rule's action.
	// +optional
	Data Action `json:"data,omitempty"`
}

// PodDisruption has the parameters of the rule pod-disruption.
type PodDisruption struct {
	Enforcement `json:",inline"`
	// majority: too few members would be ready. Defaults to the rule's action.
	// +optional
	Majority Action `json:"majority,omitempty"`
	// budget: a delete would break a PodDisruptionBudget. Defaults to the rule's action.
	// +optional
	Budget Action `json:"budget,omitempty"`
}

// VolumeRetain has the parameters of the rule volume-retain.
type VolumeRetain struct {
	Enforcement `json:",inline"`
}

// NeededObject has the parameters of the rule needed-object.
type NeededObject struct {
	Enforcement `json:",inline"`
}

// ClaimMount has the parameters of the rule claim-mount.
type ClaimMount struct {
	Enforcement `json:",inline"`
}

// UnknownField has the parameters of the rule unknown-field.
type UnknownField struct {
	Enforcement `json:",inline"`
}

// ScaleUp has the parameters of the rule scale-up.
type ScaleUp struct {
	Enforcement `json:",inline"`
}

// PodSelector has the parameters of the rule pod-selector.
type PodSelector struct {
	Enforcement `json:",inline"`
}

// NodeDisruption has the parameters of the rule node-disruption.
type NodeDisruption struct {
	Enforcement `json:",inline"`
}

// QuotaRoom has the parameters of the rule quota-room.
type QuotaRoom struct {
	Enforcement `json:",inline"`
}

// HeadlessService has the parameters of the rule headless-service.
type HeadlessService struct {
	Enforcement `json:",inline"`
	// missing: the Service does not exist. Defaults to the rule's action. Use Warn if your tools apply the StatefulSet before its
	// Service. A dry run only gets a warning.
	// +optional
	Missing Action `json:"missing,omitempty"`
	// inUse: a Service that a StatefulSet relies on is deleted. Defaults to the rule's action.
	// +optional
	InUse Action `json:"inUse,omitempty"`
}

// RetentionPolicy has the parameters of the rule retention-policy.
type RetentionPolicy struct {
	Enforcement `json:",inline"`
	// default is set if the user did not write the field.
	// +optional
	Default *RetentionValues `json:"default,omitempty"`
	// require is the only allowed value.
	// +optional
	Require *RetentionValues `json:"require,omitempty"`
	// weakening: an update from Retain to Delete. Defaults to the rule's action.
	// +optional
	Weakening Action `json:"weakening,omitempty"`
}

// RetentionValues are the values of a StatefulSet's persistentVolumeClaimRetentionPolicy.
type RetentionValues struct {
	// whenDeleted: whether the claims are kept when the StatefulSet is deleted.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +optional
	WhenDeleted appsv1.PersistentVolumeClaimRetentionPolicyType `json:"whenDeleted,omitempty"`
	// whenScaled: whether the claims of ordinals that a scale-down removes are kept.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +optional
	WhenScaled appsv1.PersistentVolumeClaimRetentionPolicyType `json:"whenScaled,omitempty"`
}

// UpdateStrategy has the parameters of the rule update-strategy.
type UpdateStrategy struct {
	Enforcement `json:",inline"`
	// default is set if the user did not write the field.
	// +optional
	Default *UpdateStrategyValues `json:"default,omitempty"`
	// require is the only allowed type.
	// +kubebuilder:validation:Enum=RollingUpdate;OnDelete
	// +optional
	Require appsv1.StatefulSetUpdateStrategyType `json:"require,omitempty"`
	// quorum: maxUnavailable allows a rollout to stop more Pods than a majority can lose. Defaults to the rule's action.
	// +optional
	Quorum Action `json:"quorum,omitempty"`
	// partition: a partition keeps every Pod at the old revision. Defaults to the rule's action.
	// +optional
	Partition Action `json:"partition,omitempty"`
}

// UpdateStrategyValues are the defaults for a StatefulSet's updateStrategy.
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'OnDelete' || (!has(self.partition) && !has(self.maxUnavailable))",message="partition and maxUnavailable belong to type RollingUpdate"
type UpdateStrategyValues struct {
	// type is the type of the strategy.
	// +kubebuilder:validation:Enum=RollingUpdate;OnDelete
	// +optional
	Type appsv1.StatefulSetUpdateStrategyType `json:"type,omitempty"`
	// partition is how many of the lowest Pods keep the old revision during a rolling update.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Partition *int32 `json:"partition,omitempty"`
	// maxUnavailable is the number or percentage of Pods that a rolling update can stop at a time.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9]|[1-9][0-9]|100)%$')",message="must be a number of at least 1, or a percentage from 1% to 100%"
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// ScaleDown has the parameters of the rule scale-down. Each check has its own action, which defaults to the rule's.
type ScaleDown struct {
	Enforcement `json:",inline"`
	// quorum: too few ready Pods for a majority would stay.
	// +optional
	Quorum Action `json:"quorum,omitempty"`
	// withoutData is the action of quorum, toZero, unsettled and budget for a StatefulSet without claims. Defaults to the action of
	// the check.
	// +optional
	WithoutData Action `json:"withoutData,omitempty"`
	// toZero: no Pod would stay.
	// +optional
	ToZero Action `json:"toZero,omitempty"`
	// step: more than maxStep Pods would be removed at once.
	// +optional
	Step Action `json:"step,omitempty"`
	// maxStep is how many Pods can be removed at once. If absent, any number.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxStep *int32 `json:"maxStep,omitempty"`
	// unsettled: a rollout or an earlier scale-down is in progress.
	// +optional
	Unsettled Action `json:"unsettled,omitempty"`
	// data: claims of the removed ordinals would be deleted.
	// +optional
	Data Action `json:"data,omitempty"`
	// budget: the minimum of a PodDisruptionBudget would not be met.
	// +optional
	Budget Action `json:"budget,omitempty"`
	// floor: fewer than minReplicas would stay.
	// +optional
	Floor Action `json:"floor,omitempty"`
	// minReplicas is the minimum number of replicas. If absent, there is none.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// drained: a removed Pod does not show that the application has moved its data.
	// +optional
	Drained *Drained `json:"drained,omitempty"`
	// autoscaler is what happens to an autoscaler's unsafe scale request. Deny, the default, refuses it. Clamp raises its replicas
	// to the nearest safe number, at most the present one, so that the autoscaler scales down safely and gets no error.
	// +kubebuilder:validation:Enum=Deny;Clamp
	// +optional
	Autoscaler Autoscaler `json:"autoscaler,omitempty"`
	// autoscalers are the users that count as autoscalers, by their name in the API server. Defaults to the
	// HorizontalPodAutoscaler's controller (system:serviceaccount:kube-system:horizontal-pod-autoscaler or
	// system:kube-controller-manager) and KEDA (system:serviceaccount:keda:keda-operator).
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	Autoscalers []string `json:"autoscalers,omitempty"`
}

// Autoscaler is what happens to an autoscaler's unsafe request.
type Autoscaler string

// The values of Autoscaler.
const (
	AutoscalerDeny  Autoscaler = "Deny"
	AutoscalerClamp Autoscaler = "Clamp"
)

// Drained is how a Pod shows that it can be removed.
// +kubebuilder:validation:XValidation:rule="has(self.condition) != has(self.annotation)",message="give either condition or annotation"
type Drained struct {
	// action for a Pod that does not show it. Defaults to the rule's action.
	// +optional
	Action Action `json:"action,omitempty"`
	// condition is the type of a Pod condition that must be True, such as example.com/Drained.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	// +optional
	Condition string `json:"condition,omitempty"`
	// annotation is an annotation that the Pod must have.
	// +optional
	Annotation *Annotation `json:"annotation,omitempty"`
}

// Annotation is an annotation with its value.
type Annotation struct {
	// key of the annotation.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`
	// value that the annotation must have.
	Value string `json:"value"`
}

// ClaimAdoption has the parameters of the rule claim-adoption.
type ClaimAdoption struct {
	Enforcement `json:",inline"`
	// adopts: claims with the names of a new StatefulSet exist, so its Pods start with existing data. Defaults to Warn, or to the
	// rule's action if that is laxer, because restores do this too.
	// +optional
	Adopts Action `json:"adopts,omitempty"`
	// disagrees: such a claim differs from the template. Defaults to the rule's action.
	// +optional
	Disagrees Action `json:"disagrees,omitempty"`
}

// DeleteProtection has the parameters of the rule delete-protection. Each check has its own action, which defaults to the rule's.
type DeleteProtection struct {
	Enforcement `json:",inline"`
	// data: claims would be deleted with their StatefulSet.
	// +optional
	Data Action `json:"data,omitempty"`
	// inUse: a member's claim is deleted.
	// +optional
	InUse Action `json:"inUse,omitempty"`
	// running: a StatefulSet with ready Pods is deleted.
	// +optional
	Running Action `json:"running,omitempty"`
	// namespace: a namespace with claims of StatefulSets is deleted.
	// +optional
	Namespace Action `json:"namespace,omitempty"`
	// protected: an object with the label mooring.dev/protect: "true" is deleted.
	// +optional
	Protected Action `json:"protected,omitempty"`
}

// ForceDelete has the parameters of the rule force-delete.
type ForceDelete struct {
	Enforcement `json:",inline"`
}

// OrdinalShift has the parameters of the rule ordinal-shift.
type OrdinalShift struct {
	Enforcement `json:",inline"`
}

// RetainedClaim has the parameters of the rule retained-claim.
type RetainedClaim struct {
	Enforcement `json:",inline"`
	// keepFor is how long a claim of a deleted StatefulSet is kept after its last Pod, such as 1h, as if the StatefulSet still
	// existed. It needs Kubernetes 1.37, which records when the last Pod stopped.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="must be a time such as 1h or 30m"
	// +optional
	KeepFor *metav1.Duration `json:"keepFor,omitempty"`
	// recent is the action within keepFor. Defaults to the rule's action.
	// +optional
	Recent Action `json:"recent,omitempty"`
}

// UnsafeRollout has the parameters of the rule unsafe-rollout.
type UnsafeRollout struct {
	Enforcement `json:",inline"`
	// quorum: the rollout would remove the majority. Defaults to the rule's action.
	// +optional
	Quorum Action `json:"quorum,omitempty"`
	// waits: the rollout cannot start before a member is ready again. Defaults to Warn, or to the rule's action if that is laxer,
	// because the new template may repair the member.
	// +kubebuilder:validation:Enum=Warn;Audit;Off
	// +kubebuilder:validation:XValidation:rule="self != 'Deny'",message="it cannot deny: Warn, Audit or Off"
	// +optional
	Waits Action `json:"waits,omitempty"`
}

// AutoscalerFloor has the parameters of the rule autoscaler-floor.
type AutoscalerFloor struct {
	Enforcement `json:",inline"`
	// minReplicas is the minimum number of replicas. Defaults to the majority of the StatefulSet's replicas.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`
}

// ClaimTemplate has the parameters of the rule claim-template.
type ClaimTemplate struct {
	Enforcement `json:",inline"`
	// storageClasses are the allowed classes. Defaults to any existing class.
	// +listType=set
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	StorageClasses []string `json:"storageClasses,omitempty"`
	// accessModes are the allowed modes. Defaults to any.
	// +listType=set
	// +kubebuilder:validation:items:Enum=ReadWriteOnce;ReadOnlyMany;ReadWriteMany;ReadWriteOncePod
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// minSize is the minimum size of a claim.
	// +optional
	MinSize *resource.Quantity `json:"minSize,omitempty"`
	// maxSize is the maximum size of a claim.
	// +optional
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`
	// requireExpansion requires a class whose volumes can be resized.
	// +optional
	RequireExpansion bool `json:"requireExpansion,omitempty"`
}

// DisruptionBudget has the parameters of the rule disruption-budget.
type DisruptionBudget struct {
	Enforcement `json:",inline"`
}

// ImmutableFields has the parameters of the rule immutable-fields.
type ImmutableFields struct {
	Enforcement `json:",inline"`
}

// NotReadyAddresses has the parameters of the rule not-ready-addresses.
type NotReadyAddresses struct {
	Enforcement `json:",inline"`
}

// Readiness has the parameters of the rule readiness.
type Readiness struct {
	Enforcement `json:",inline"`
}

// SharedClaim has the parameters of the rule shared-claim.
type SharedClaim struct {
	Enforcement `json:",inline"`
}

// Spread has the parameters of the rule spread.
type Spread struct {
	Enforcement `json:",inline"`
}

// TerminationGrace has the parameters of the rule termination-grace.
type TerminationGrace struct {
	Enforcement `json:",inline"`
}

// VolumeReclaim has the parameters of the rule volume-reclaim. It refuses nothing: any action but Off turns it on.
type VolumeReclaim struct {
	Enforcement `json:",inline"`
	// default is the reclaim policy that volumes get.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +optional
	Default corev1.PersistentVolumeReclaimPolicy `json:"default,omitempty"`
}

// BlockedDrain has the parameters of the rule blocked-drain.
type BlockedDrain struct {
	Enforcement `json:",inline"`
}

// ClaimAtRisk has the parameters of the rule claim-at-risk.
type ClaimAtRisk struct {
	Enforcement `json:",inline"`
}

// MemberDown has the parameters of the rule member-down.
type MemberDown struct {
	Enforcement `json:",inline"`
}

// OrphanedClaim has the parameters of the rule orphaned-claim.
type OrphanedClaim struct {
	Enforcement `json:",inline"`
}

// ProfileLabel has the parameters of the rule profile-label.
type ProfileLabel struct {
	Enforcement `json:",inline"`
}

// ProtectLabel has the parameters of the rule protect-label.
type ProtectLabel struct {
	Enforcement `json:",inline"`
}

// StuckRollout has the parameters of the rule stuck-rollout.
type StuckRollout struct {
	Enforcement `json:",inline"`
}
