package v1alpha1

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// StatefulPolicy says which stateful workloads are guarded, by which rules, and how strictly.
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
	// status is what Mooring makes of the policy.
	// +optional
	Status StatefulPolicyStatus `json:"status,omitempty"`
}

// StatefulPolicyStatus is what Mooring makes of a policy.
type StatefulPolicyStatus struct {
	// denies are the rules by which the policy refuses requests.
	// +listType=set
	// +optional
	Denies []string `json:"denies,omitempty"`
	// exceptions are the rules, or rule/check, that the policy's exceptions relax now.
	// +listType=set
	// +optional
	Exceptions []string `json:"exceptions,omitempty"`
	// conditions: Ready is True while the policy is in force, and its message says what looks wrong with it.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ConditionReady is True while a policy is in force and everything that it names is there.
const ConditionReady = "Ready"

// StatefulPolicyList is a list of StatefulPolicies.
//
// +kubebuilder:object:root=true
type StatefulPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []StatefulPolicy `json:"items"`
}

// StatefulPolicySpec is what the administrator asks for.
type StatefulPolicySpec struct {
	// mode caps the action of every rule. Enforce leaves each as it is, Warn turns denials into warnings, and Audit is a
	// dry run: findings and defaults are reported and the request is left alone.
	// +kubebuilder:default=Enforce
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// match chooses the requests this policy judges. Empty matches every namespace and object.
	// +optional
	Match Match `json:"match,omitempty"`

	// priority decides whose default is injected when several policies give one for the same field: the highest wins,
	// then the first by name. Actions need none: the strictest always wins.
	// +optional
	Priority int32 `json:"priority,omitempty"`

	// profile sets the profile of the requests that this policy matches: off, baseline or restricted. The label
	// mooring.dev/profile of the namespace wins over it, and of several policies the strictest profile. Absent: the policy
	// adds to whatever profile the namespace has.
	// +kubebuilder:validation:Enum=off;baseline;restricted
	// +optional
	Profile string `json:"profile,omitempty"`

	// exceptions relax what the profile and other policies find in the requests that this policy matches.
	// +listType=atomic
	// +optional
	Exceptions []Exception `json:"exceptions,omitempty"`

	// operators are service accounts, as namespace/name, that count as the operator of every object that a custom resource
	// owns and this policy matches. Without it, a service account is the operator where it may update the owner's status.
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[^/]+/[^/]+$`
	// +optional
	Operators []string `json:"operators,omitempty"`

	// operatorOwned says what happens to objects that a custom resource owns. Warn, the default, injects nothing (the
	// operator would write its own value back, for ever) and only warns their operator. Enforce treats them as any other.
	// +kubebuilder:default=Warn
	// +optional
	OperatorOwned OperatorOwned `json:"operatorOwned,omitempty"`

	// owners are custom resources whose operator takes the replicas of StatefulSets from a field. A scale subresource, and those of
	// well-known operators, need not be named. What one policy says holds in all namespaces.
	// +listType=atomic
	// +optional
	Owners []Owner `json:"owners,omitempty"`

	// bypassGroupLabel is a label by which StatefulSets of a namespace belong together, such as rollout-group, by which
	// rollout-operator knows the zones that follow a leader. A bypass on one of a group counts for the others too, if the user who
	// asks may bypass.
	// +optional
	BypassGroupLabel string `json:"bypassGroupLabel,omitempty"`

	// rules holds one block per rule. A rule without a block is off.
	// +optional
	Rules Rules `json:"rules,omitempty"`
}

// Owner says which field of a custom resource its operator takes the replicas of the StatefulSets from that it owns.
type Owner struct {
	// group is that of the custom resource, such as db.example.com.
	// +kubebuilder:validation:Pattern=`^[a-z0-9-]+(\.[a-z0-9-]+)+$`
	Group string `json:"group"`
	// kind is that of the custom resource, such as Database.
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9]*$`
	Kind string `json:"kind"`
	// replicasPath is the field, such as spec.replicas. There are no lists in it.
	// +kubebuilder:validation:Pattern=`^spec(\.[A-Za-z_][A-Za-z0-9_-]*)+$`
	ReplicasPath string `json:"replicasPath"`
}

// Exception relaxes one rule.
type Exception struct {
	// rule is the rule's ID, such as scale-down.
	// +kubebuilder:validation:MinLength=1
	Rule string `json:"rule"`
	// checks of the rule, such as to-zero. Absent: all of them.
	// +listType=set
	// +optional
	Checks []string `json:"checks,omitempty"`
	// action is the most that a finding does. Off says nothing at all.
	// +kubebuilder:validation:Enum=Warn;Audit;Off
	// +kubebuilder:validation:XValidation:rule="self != 'Deny'",message="an exception relaxes: Warn, Audit or Off"
	// +kubebuilder:default=Warn
	// +optional
	Action Action `json:"action,omitempty"`
	// reason says why, and is shown with each finding that the exception relaxes.
	// +kubebuilder:validation:Pattern=`\S`
	Reason string `json:"reason"`
	// until is when the exception ends. Absent: it has no end.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// Mode caps what a policy may do.
//
// +kubebuilder:validation:Enum=Enforce;Warn;Audit
type Mode string

// The modes, the strictest first.
const (
	ModeEnforce Mode = "Enforce"
	ModeWarn    Mode = "Warn"
	ModeAudit   Mode = "Audit"
)

// OperatorOwned says how objects are judged whose controller is a custom resource.
//
// +kubebuilder:validation:Enum=Warn;Enforce
type OperatorOwned string

// The ways to treat an operator's objects.
const (
	OperatorOwnedWarn    OperatorOwned = "Warn"
	OperatorOwnedEnforce OperatorOwned = "Enforce"
)

// Action is what a finding does to the request. In YAML "Off" needs its quotes: a bare Off is a boolean there.
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

// actions from the laxest to the strictest.
var actions = []Action{Off, Audit, Warn, Deny}

// Compare orders actions by how much they do to a request: negative where a does less than b. An action that is absent is Off.
func (a Action) Compare(b Action) int {
	return max(0, slices.Index(actions, a)) - max(0, slices.Index(actions, b))
}

// Stricter tells whether a does more to a request than b.
func (a Action) Stricter(b Action) bool { return a.Compare(b) > 0 }

// AtMost returns a, or most where a is stricter.
func (a Action) AtMost(most Action) Action {
	if a.Stricter(most) {
		return most
	}
	return a
}

// Match chooses requests. All of its parts must hold.
type Match struct {
	// namespaceSelector selects namespaces by their labels. Empty or absent selects all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// objectSelector selects objects by their own labels, before or after the change. A request to scale is matched by
	// the labels of its StatefulSet. Empty or absent selects all.
	// +optional
	ObjectSelector *metav1.LabelSelector `json:"objectSelector,omitempty"`

	// exclude names what this policy never judges.
	// +optional
	Exclude Exclude `json:"exclude,omitempty"`
}

// Exclude names namespaces and requesters that a policy leaves alone.
type Exclude struct {
	// namespaces by name. There are no patterns.
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`
	// users by the name the API server knows them under.
	// +listType=set
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	Users []string `json:"users,omitempty"`
	// groups of which the requester is a member.
	// +listType=set
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	Groups []string `json:"groups,omitempty"`
	// serviceAccounts as namespace/name.
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[^/]+/[^/]+$`
	// +optional
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
}

// Rules holds one block per rule, each with the rule's action and parameters.
type Rules struct {
	// autoscalerFloor: how far a HorizontalPodAutoscaler may take a StatefulSet down.
	// +optional
	AutoscalerFloor *AutoscalerFloor `json:"autoscalerFloor,omitempty"`
	// claimAdoption: old claims that a new StatefulSet would take over.
	// +optional
	ClaimAdoption *ClaimAdoption `json:"claimAdoption,omitempty"`
	// claimTemplate: the storage that claims ask for.
	// +optional
	ClaimTemplate *ClaimTemplate `json:"claimTemplate,omitempty"`
	// deleteProtection: deletes that would take data along.
	// +optional
	DeleteProtection *DeleteProtection `json:"deleteProtection,omitempty"`
	// disruptionBudget: a PodDisruptionBudget for the Pods.
	// +optional
	DisruptionBudget *DisruptionBudget `json:"disruptionBudget,omitempty"`
	// forceDelete: deletes of running Pods that do not wait until they have stopped.
	// +optional
	ForceDelete *ForceDelete `json:"forceDelete,omitempty"`
	// headlessService: serviceName names a headless Service that selects the Pods, and stays so.
	// +optional
	HeadlessService *HeadlessService `json:"headlessService,omitempty"`
	// immutableFields: changes that the API server will refuse.
	// +optional
	ImmutableFields *ImmutableFields `json:"immutableFields,omitempty"`
	// notReadyAddresses: DNS names for Pods that are not ready yet.
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
	// retentionPolicy: what happens to claims when the StatefulSet is deleted or scaled down.
	// +optional
	RetentionPolicy *RetentionPolicy `json:"retentionPolicy,omitempty"`
	// scaleDown: which ordinals may go, and when.
	// +optional
	ScaleDown *ScaleDown `json:"scaleDown,omitempty"`
	// sharedClaim: Deployments whose replicas share a claim.
	// +optional
	SharedClaim *SharedClaim `json:"sharedClaim,omitempty"`
	// spread: Pods that do not share a node.
	// +optional
	Spread *Spread `json:"spread,omitempty"`
	// terminationGrace: time to stop.
	// +optional
	TerminationGrace *TerminationGrace `json:"terminationGrace,omitempty"`
	// unsafeRollout: rollouts that begin while a member is down.
	// +optional
	UnsafeRollout *UnsafeRollout `json:"unsafeRollout,omitempty"`
	// updateStrategy: how a new template reaches the Pods.
	// +optional
	UpdateStrategy *UpdateStrategy `json:"updateStrategy,omitempty"`
	// blockedDrain: PodDisruptionBudgets that allow no eviction of a healthy StatefulSet.
	// +optional
	BlockedDrain *BlockedDrain `json:"blockedDrain,omitempty"`
	// claimAtRisk: claims that are deleted together with the volumes behind them.
	// +optional
	ClaimAtRisk *ClaimAtRisk `json:"claimAtRisk,omitempty"`
	// memberDown: members that are not ready for too long.
	// +optional
	MemberDown *MemberDown `json:"memberDown,omitempty"`
	// orphanedClaim: claims that a deleted StatefulSet left behind.
	// +optional
	OrphanedClaim *OrphanedClaim `json:"orphanedClaim,omitempty"`
	// profileLabel: values of the labels mooring.dev/profile and mooring.dev/mode that name no profile and no mode.
	// +optional
	ProfileLabel *ProfileLabel `json:"profileLabel,omitempty"`
	// protectLabel: values of the label mooring.dev/protect that protect nothing.
	// +optional
	ProtectLabel *ProtectLabel `json:"protectLabel,omitempty"`
	// stuckRollout: rollouts that do not go on.
	// +optional
	StuckRollout *StuckRollout `json:"stuckRollout,omitempty"`
	// volumeReclaim: what becomes of a volume whose claim is deleted.
	// +optional
	VolumeReclaim *VolumeReclaim `json:"volumeReclaim,omitempty"`
	// lostOwner: owners of StatefulSets and claims that do not exist.
	// +optional
	LostOwner *LostOwner `json:"lostOwner,omitempty"`
	// ownerDelete: custom resources that own StatefulSets and claims.
	// +optional
	OwnerDelete *OwnerDelete `json:"ownerDelete,omitempty"`
	// ownerScale: custom resources whose operator scales StatefulSets.
	// +optional
	OwnerScale *OwnerScale `json:"ownerScale,omitempty"`
	// podDisruption: Pods of StatefulSets that are deleted or evicted while others are down.
	// +optional
	PodDisruption *PodDisruption `json:"podDisruption,omitempty"`
	// volumeRetain: volumes of StatefulSets that are not kept any more.
	// +optional
	VolumeRetain *VolumeRetain `json:"volumeRetain,omitempty"`
	// neededObject: deletes of what the Pods of StatefulSets cannot start without.
	// +optional
	NeededObject *NeededObject `json:"neededObject,omitempty"`
	// claimMount: where containers mount the claims.
	// +optional
	ClaimMount *ClaimMount `json:"claimMount,omitempty"`
	// unknownField: misspelled fields in files.
	// +optional
	UnknownField *UnknownField `json:"unknownField,omitempty"`
	// scaleUp: members that start without data.
	// +optional
	ScaleUp *ScaleUp `json:"scaleUp,omitempty"`
	// podSelector: Pods that leave their StatefulSet, or are selected by two.
	// +optional
	PodSelector *PodSelector `json:"podSelector,omitempty"`
	// nodeDisruption: nodes that go, or turn Pods away, with members of StatefulSets on them.
	// +optional
	NodeDisruption *NodeDisruption `json:"nodeDisruption,omitempty"`
	// quotaRoom: ResourceQuotas that leave members no room to come back.
	// +optional
	QuotaRoom *QuotaRoom `json:"quotaRoom,omitempty"`
}

// Enforcement is the part that every rule's block has.
type Enforcement struct {
	// action on a finding.
	Action Action `json:"action"`
}

// RuleAction returns the action of a rule's findings where a check has none of its own.
func (e Enforcement) RuleAction() Action { return e.Action }

// LostOwner are the parameters of the rule lost-owner.
type LostOwner struct {
	Enforcement `json:",inline"`
}

// OwnerDelete are the parameters of the rule owner-delete.
type OwnerDelete struct {
	Enforcement `json:",inline"`
	// data: claims would be deleted that StatefulSets, or Pods that run for good, have.
	// +optional
	Data Action `json:"data,omitempty"`
	// members: StatefulSets would be deleted, and ready Pods stop.
	// +optional
	Members Action `json:"members,omitempty"`
	// otherClaims: other claims would be deleted, such as those of a pipeline's run or of a virtual machine.
	// +optional
	OtherClaims Action `json:"otherClaims,omitempty"`
}

// OwnerScale are the parameters of the rule owner-scale. All else it takes from the policy's block scaleDown.
type OwnerScale struct {
	Enforcement `json:",inline"`
	// data: claims of the ordinals that go would be deleted; by default the rule's action.
	// +optional
	Data Action `json:"data,omitempty"`
}

// PodDisruption are the parameters of the rule pod-disruption.
type PodDisruption struct {
	Enforcement `json:",inline"`
	// majority is the action where too few members would be ready; by default the rule's action.
	// +optional
	Majority Action `json:"majority,omitempty"`
	// budget is the action where a plain delete would break what a PodDisruptionBudget promises; by default the rule's action.
	// +optional
	Budget Action `json:"budget,omitempty"`
}

// VolumeRetain are the parameters of the rule volume-retain.
type VolumeRetain struct {
	Enforcement `json:",inline"`
}

// NeededObject are the parameters of the rule needed-object.
type NeededObject struct {
	Enforcement `json:",inline"`
}

// ClaimMount are the parameters of the rule claim-mount.
type ClaimMount struct {
	Enforcement `json:",inline"`
}

// UnknownField are the parameters of the rule unknown-field.
type UnknownField struct {
	Enforcement `json:",inline"`
}

// ScaleUp are the parameters of the rule scale-up.
type ScaleUp struct {
	Enforcement `json:",inline"`
}

// PodSelector are the parameters of the rule pod-selector.
type PodSelector struct {
	Enforcement `json:",inline"`
}

// NodeDisruption are the parameters of the rule node-disruption.
type NodeDisruption struct {
	Enforcement `json:",inline"`
}

// QuotaRoom are the parameters of the rule quota-room.
type QuotaRoom struct {
	Enforcement `json:",inline"`
}

// HeadlessService are the parameters of the rule headless-service.
type HeadlessService struct {
	Enforcement `json:",inline"`
	// missing is the action where the Service does not exist at all; by default the rule's action. Warn suits clusters
	// whose tools apply the StatefulSet before its Service. A dry run is only ever warned.
	// +optional
	Missing Action `json:"missing,omitempty"`
	// inUse is the action on a delete of a Service that a StatefulSet relies on; by default the rule's action.
	// +optional
	InUse Action `json:"inUse,omitempty"`
}

// RetentionPolicy are the parameters of the rule retention-policy.
type RetentionPolicy struct {
	Enforcement `json:",inline"`
	// default is injected where the user said nothing.
	// +optional
	Default *RetentionValues `json:"default,omitempty"`
	// require is the only value allowed, whoever set it.
	// +optional
	Require *RetentionValues `json:"require,omitempty"`
	// weakening is the action on an update from Retain to Delete; by default the rule's action.
	// +optional
	Weakening Action `json:"weakening,omitempty"`
}

// RetentionValues are the two values of a StatefulSet's persistentVolumeClaimRetentionPolicy.
type RetentionValues struct {
	// whenDeleted: what happens to the claims when the StatefulSet is deleted.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +optional
	WhenDeleted appsv1.PersistentVolumeClaimRetentionPolicyType `json:"whenDeleted,omitempty"`
	// whenScaled: what happens to the claims of ordinals that a scale-down takes away.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +optional
	WhenScaled appsv1.PersistentVolumeClaimRetentionPolicyType `json:"whenScaled,omitempty"`
}

// UpdateStrategy are the parameters of the rule update-strategy.
type UpdateStrategy struct {
	Enforcement `json:",inline"`
	// default is injected where the user said nothing.
	// +optional
	Default *UpdateStrategyValues `json:"default,omitempty"`
	// require is the only type allowed, whoever set it.
	// +kubebuilder:validation:Enum=RollingUpdate;OnDelete
	// +optional
	Require appsv1.StatefulSetUpdateStrategyType `json:"require,omitempty"`
	// quorum is the action where maxUnavailable lets a rollout take more Pods than a majority can lose; by default the
	// rule's action.
	// +optional
	Quorum Action `json:"quorum,omitempty"`
	// partition is the action where a partition leaves every Pod at the old revision; by default the rule's action.
	// +optional
	Partition Action `json:"partition,omitempty"`
}

// UpdateStrategyValues are the defaults for a StatefulSet's updateStrategy.
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'OnDelete' || (!has(self.partition) && !has(self.maxUnavailable))",message="partition and maxUnavailable belong to type RollingUpdate"
type UpdateStrategyValues struct {
	// type of the strategy.
	// +kubebuilder:validation:Enum=RollingUpdate;OnDelete
	// +optional
	Type appsv1.StatefulSetUpdateStrategyType `json:"type,omitempty"`
	// partition: how many of the lowest Pods keep the old revision during a rolling update.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Partition *int32 `json:"partition,omitempty"`
	// maxUnavailable: how many Pods, or what part of them, a rolling update may take at a time.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9]|[1-9][0-9]|100)%$')",message="must be a number of at least 1, or a percentage from 1% to 100%"
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// ScaleDown are the parameters of the rule scale-down. Each check has an action of its own, by default the rule's.
type ScaleDown struct {
	Enforcement `json:",inline"`
	// quorum: too few ready Pods would stay for a majority.
	// +optional
	Quorum Action `json:"quorum,omitempty"`
	// withoutData is the action of quorum, toZero, unsettled and budget on a StatefulSet that has no claims; by default that of the
	// check.
	// +optional
	WithoutData Action `json:"withoutData,omitempty"`
	// toZero: no Pod would stay.
	// +optional
	ToZero Action `json:"toZero,omitempty"`
	// step: more than maxStep Pods would go at once.
	// +optional
	Step Action `json:"step,omitempty"`
	// maxStep is how many Pods may go at once, in replicas. Absent: any number.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxStep *int32 `json:"maxStep,omitempty"`
	// unsettled: a rollout or an earlier scale is still under way.
	// +optional
	Unsettled Action `json:"unsettled,omitempty"`
	// data: claims of the ordinals that go would be deleted.
	// +optional
	Data Action `json:"data,omitempty"`
	// budget: the minimum of a PodDisruptionBudget would not be met.
	// +optional
	Budget Action `json:"budget,omitempty"`
	// floor: fewer than minReplicas would stay.
	// +optional
	Floor Action `json:"floor,omitempty"`
	// minReplicas is the smallest size allowed, in replicas. Absent: none.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// drained: a Pod that goes does not show that the application has handed its data over.
	// +optional
	Drained *Drained `json:"drained,omitempty"`
	// autoscaler is what becomes of an unsafe request to scale by one of the autoscalers. Deny, the default, refuses it as
	// anybody's. Clamp raises its replicas to the nearest safe number instead, which may be the present one, so that the
	// autoscaler walks down safely and never meets an error.
	// +kubebuilder:validation:Enum=Deny;Clamp
	// +optional
	Autoscaler Autoscaler `json:"autoscaler,omitempty"`
	// autoscalers are the users that count as autoscalers, by the name the API server knows them under. Absent: the
	// HorizontalPodAutoscaler's controller (system:serviceaccount:kube-system:horizontal-pod-autoscaler or
	// system:kube-controller-manager) and KEDA (system:serviceaccount:keda:keda-operator).
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	Autoscalers []string `json:"autoscalers,omitempty"`
}

// Autoscaler is what becomes of an autoscaler's unsafe request.
type Autoscaler string

// The ways to treat an autoscaler.
const (
	AutoscalerDeny  Autoscaler = "Deny"
	AutoscalerClamp Autoscaler = "Clamp"
)

// Drained says how a Pod shows that it may go.
// +kubebuilder:validation:XValidation:rule="has(self.condition) != has(self.annotation)",message="give either condition or annotation"
type Drained struct {
	// action on a Pod that does not show it; by default the rule's action.
	// +optional
	Action Action `json:"action,omitempty"`
	// condition is the type of a Pod condition that must be True, such as example.com/Drained.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	// +optional
	Condition string `json:"condition,omitempty"`
	// annotation is one that the Pod must have.
	// +optional
	Annotation *Annotation `json:"annotation,omitempty"`
}

// Annotation is an annotation with its value.
type Annotation struct {
	// key of the annotation.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`
	// value that it must have.
	Value string `json:"value"`
}

// ClaimAdoption are the parameters of the rule claim-adoption.
type ClaimAdoption struct {
	Enforcement `json:",inline"`
	// adopts is the action where claims of a new StatefulSet's names exist, so that its Pods start on old data. By default
	// Warn, or the rule's action where that does less: this is also how data is restored.
	// +optional
	Adopts Action `json:"adopts,omitempty"`
	// disagrees is the action where such a claim is not what the template asks for; by default the rule's action.
	// +optional
	Disagrees Action `json:"disagrees,omitempty"`
}

// DeleteProtection are the parameters of the rule delete-protection. Each check has an action of its own, by default the
// rule's.
type DeleteProtection struct {
	Enforcement `json:",inline"`
	// data: claims would be deleted along with their StatefulSet.
	// +optional
	Data Action `json:"data,omitempty"`
	// inUse: the claim of a member is deleted.
	// +optional
	InUse Action `json:"inUse,omitempty"`
	// running: a StatefulSet with ready Pods is deleted.
	// +optional
	Running Action `json:"running,omitempty"`
	// namespace: a namespace is deleted in which StatefulSets have claims.
	// +optional
	Namespace Action `json:"namespace,omitempty"`
	// protected: an object is deleted that is labelled mooring.dev/protect: "true".
	// +optional
	Protected Action `json:"protected,omitempty"`
}

// ForceDelete are the parameters of the rule force-delete.
type ForceDelete struct {
	Enforcement `json:",inline"`
}

// OrdinalShift are the parameters of the rule ordinal-shift.
type OrdinalShift struct {
	Enforcement `json:",inline"`
}

// RetainedClaim are the parameters of the rule retained-claim.
type RetainedClaim struct {
	Enforcement `json:",inline"`
	// keepFor is how long after its last Pod a claim is kept whose StatefulSet was deleted, such as 1h, as if that still ran.
	// Kubernetes tells since 1.37 when that was.
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="must be a time such as 1h or 30m"
	// +optional
	KeepFor *metav1.Duration `json:"keepFor,omitempty"`
	// recent is the action within keepFor; by default the rule's action.
	// +optional
	Recent Action `json:"recent,omitempty"`
}

// UnsafeRollout are the parameters of the rule unsafe-rollout.
type UnsafeRollout struct {
	Enforcement `json:",inline"`
	// quorum is the action where the rollout takes the majority away; by default the rule's action.
	// +optional
	Quorum Action `json:"quorum,omitempty"`
	// waits is the action where the rollout cannot begin before a member is ready again. By default Warn, or the rule's
	// action where that does less: the new template may be what repairs the member.
	// +kubebuilder:validation:Enum=Warn;Audit;Off
	// +kubebuilder:validation:XValidation:rule="self != 'Deny'",message="it cannot deny: Warn, Audit or Off"
	// +optional
	Waits Action `json:"waits,omitempty"`
}

// AutoscalerFloor are the parameters of the rule autoscaler-floor.
type AutoscalerFloor struct {
	Enforcement `json:",inline"`
	// minReplicas is the floor, in replicas. Absent: the majority of the replicas that the StatefulSet has.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`
}

// ClaimTemplate are the parameters of the rule claim-template.
type ClaimTemplate struct {
	Enforcement `json:",inline"`
	// storageClasses are the classes allowed. Absent: any that exists.
	// +listType=set
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	StorageClasses []string `json:"storageClasses,omitempty"`
	// accessModes are those allowed. Absent: any.
	// +listType=set
	// +kubebuilder:validation:items:Enum=ReadWriteOnce;ReadOnlyMany;ReadWriteMany;ReadWriteOncePod
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// minSize is the least a claim may ask for, in bytes.
	// +optional
	MinSize *resource.Quantity `json:"minSize,omitempty"`
	// maxSize is the most a claim may ask for, in bytes.
	// +optional
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`
	// requireExpansion wants a class whose volumes can grow.
	// +optional
	RequireExpansion bool `json:"requireExpansion,omitempty"`
}

// DisruptionBudget are the parameters of the rule disruption-budget.
type DisruptionBudget struct {
	Enforcement `json:",inline"`
}

// ImmutableFields are the parameters of the rule immutable-fields.
type ImmutableFields struct {
	Enforcement `json:",inline"`
}

// NotReadyAddresses are the parameters of the rule not-ready-addresses.
type NotReadyAddresses struct {
	Enforcement `json:",inline"`
}

// Readiness are the parameters of the rule readiness.
type Readiness struct {
	Enforcement `json:",inline"`
}

// SharedClaim are the parameters of the rule shared-claim.
type SharedClaim struct {
	Enforcement `json:",inline"`
}

// Spread are the parameters of the rule spread.
type Spread struct {
	Enforcement `json:",inline"`
}

// TerminationGrace are the parameters of the rule termination-grace.
type TerminationGrace struct {
	Enforcement `json:",inline"`
}

// VolumeReclaim are the parameters of the rule volume-reclaim. It refuses nothing: any action but Off turns it on.
type VolumeReclaim struct {
	Enforcement `json:",inline"`
	// default is the reclaim policy that volumes get.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +optional
	Default corev1.PersistentVolumeReclaimPolicy `json:"default,omitempty"`
}

// BlockedDrain are the parameters of the rule blocked-drain.
type BlockedDrain struct {
	Enforcement `json:",inline"`
}

// ClaimAtRisk are the parameters of the rule claim-at-risk.
type ClaimAtRisk struct {
	Enforcement `json:",inline"`
}

// MemberDown are the parameters of the rule member-down.
type MemberDown struct {
	Enforcement `json:",inline"`
}

// OrphanedClaim are the parameters of the rule orphaned-claim.
type OrphanedClaim struct {
	Enforcement `json:",inline"`
}

// ProfileLabel are the parameters of the rule profile-label.
type ProfileLabel struct {
	Enforcement `json:",inline"`
}

// ProtectLabel are the parameters of the rule protect-label.
type ProtectLabel struct {
	Enforcement `json:",inline"`
}

// StuckRollout are the parameters of the rule stuck-rollout.
type StuckRollout struct {
	Enforcement `json:",inline"`
}
