package policies

import (
	"errors"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// ProtectLabel with the value "true" keeps a StatefulSet, claim, Service or Namespace from being deleted.
const ProtectLabel = "mooring.dev/protect"

var deleteProtection = Rule{
	ID:    "delete-protection",
	Block: "deleteProtection",
	Title: "A delete does not take data along",
	Doc: `Some deletes destroy data at once, and none of them asks. A StatefulSet takes the claims along that it owns:
all of them under whenDeleted: Delete, and under Retain those that a scale-down left behind while it was Delete. With
--cascade=orphan they stay, and the delete passes. The claim of a running Pod looks unharmed after its delete: it hangs in
Terminating, and its data is gone the next time the Pod restarts, or at once if somebody takes its finalizer off. So does a
volume that is deleted while a claim is bound to it, and nothing can undo either. A namespace takes everything along, the
claims included that are left of a deleted StatefulSet. What is labelled mooring.dev/protect: "true" (a StatefulSet, a claim,
a Service, a Namespace) is not deleted by anybody. The garbage collector and its like, which carry out what was decided
before, always pass, and so does every delete in a namespace that is itself being deleted.`,
	Severity: High,
	On: []Trigger{
		{"StatefulSet", []admissionv1.Operation{admissionv1.Delete}},
		{"PersistentVolumeClaim", []admissionv1.Operation{admissionv1.Update, admissionv1.Delete}},
		{"PersistentVolume", []admissionv1.Operation{admissionv1.Delete}},
		{"Namespace", []admissionv1.Operation{admissionv1.Delete}},
		{"Service", []admissionv1.Operation{admissionv1.Delete}},
	},
	Checks: []Check{
		{"data", "claims would be deleted along with their StatefulSet"},
		{"in-use", "a Pod of a StatefulSet uses the claim, or a StatefulSet wants the Pod it belongs to"},
		{"finalizer", "the claim waits for a Pod that uses it, and would be taken from under it"},
		{"volume", "the claim of a StatefulSet's member is bound to the volume"},
		{"namespace", "StatefulSets have, or had, claims in the namespace"},
		{"removed", "files do not have the StatefulSet any more"},
		{"renamed", "files have the StatefulSet under another name, which starts on claims of its own"},
		{"protected", "the object, or something in the namespace, is labelled against deletes"},
	},
	blocks: typed(logic[v1alpha1.DeleteProtection]{
		params: func(r *v1alpha1.Rules) *v1alpha1.DeleteProtection { return r.DeleteProtection },
		change: deletesNoData,
	}),
	Cases: []Case{
		{Name: "a StatefulSet whose claims are kept", Old: `kind: StatefulSet`, Claims: []int32{0, 1, 2}},
		{
			Name: "a StatefulSet that takes its claims along", Claims: []int32{0, 1, 2},
			Old:  `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}`,
			Want: []string{"data"},
		},
		{
			Name: "such a StatefulSet, but nothing that it owns", Claims: []int32{0, 1, 2}, DeleteOptions: "propagationPolicy: Orphan",
			Old: `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}`,
		},
		{
			Name: "such a StatefulSet before it has claims",
			Old:  `{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}`,
		},
		{
			Name: "the claim of a running Pod", Given: []string{`kind: StatefulSet`}, Ready: []int32{0, 1, 2},
			Old: `kind: PersistentVolumeClaim`, Want: []string{"in-use"},
		},
		{
			Name: "the claim of a member whose Pod is away", Given: []string{`kind: StatefulSet`}, Ready: []int32{1, 2},
			Old: `kind: PersistentVolumeClaim`, Want: []string{"in-use"},
		},
		{
			Name: "the claim of a Pod that outlived its StatefulSet", Ready: []int32{0},
			Old: `kind: PersistentVolumeClaim`, Want: []string{"in-use"},
		},
		{
			Name: "the claim of an ordinal that was scaled away", Given: []string{`kind: StatefulSet`}, Ready: []int32{0, 1, 2},
			Old: `{kind: PersistentVolumeClaim, metadata: {name: data-db-3}}`,
		},
		{
			Name: "a claim that no StatefulSet has a name for", Given: []string{`kind: StatefulSet`}, Ready: []int32{0, 1, 2},
			Old: `{kind: PersistentVolumeClaim, metadata: {name: backup}}`,
		},
		{
			Name: "a claim that the garbage collector collects", Given: []string{`kind: StatefulSet`}, Ready: []int32{0},
			User: "system:serviceaccount:kube-system:generic-garbage-collector", Old: `kind: PersistentVolumeClaim`,
		},
		{
			Name: "the finalizer of a claim that waits for its Pod", Ready: []int32{0},
			Old:  `{kind: PersistentVolumeClaim, metadata: {deletionTimestamp: "2026-01-02T03:04:05Z", finalizers: [kubernetes.io/pvc-protection]}}`,
			New:  `{kind: PersistentVolumeClaim, metadata: {deletionTimestamp: "2026-01-02T03:04:05Z"}}`,
			Want: []string{"finalizer"},
		},
		{
			Name: "the finalizer of a claim that no Pod uses any more", Ready: []int32{1},
			Old: `{kind: PersistentVolumeClaim, metadata: {deletionTimestamp: "2026-01-02T03:04:05Z", finalizers: [kubernetes.io/pvc-protection]}}`,
			New: `{kind: PersistentVolumeClaim, metadata: {deletionTimestamp: "2026-01-02T03:04:05Z"}}`,
		},
		{
			Name: "a label on a claim that waits for its Pod", Ready: []int32{0},
			Old: `{kind: PersistentVolumeClaim, metadata: {deletionTimestamp: "2026-01-02T03:04:05Z", finalizers: [kubernetes.io/pvc-protection]}}`,
			New: `{kind: PersistentVolumeClaim, metadata: {deletionTimestamp: "2026-01-02T03:04:05Z", finalizers: [kubernetes.io/pvc-protection], labels: {a: b}}}`,
		},
		{
			Name: "the volume of a member", Given: []string{`kind: StatefulSet`}, Claims: []int32{0},
			Old: `{kind: PersistentVolume, status: {phase: Bound}}`, Want: []string{"volume"},
		},
		{
			Name: "the volume of a claim that was kept", Given: []string{`{kind: StatefulSet, spec: {replicas: 0}}`}, Claims: []int32{0},
			Old: `{kind: PersistentVolume, status: {phase: Bound}}`, Want: []string{"volume"},
		},
		{
			Name: "a volume whose claim is gone, before its phase says so", Given: []string{`kind: StatefulSet`},
			Old: `{kind: PersistentVolume, status: {phase: Bound}}`,
		},
		{
			Name: "a volume that nobody claims any more", Given: []string{`kind: StatefulSet`},
			Old: `{kind: PersistentVolume, status: {phase: Released}}`,
		},
		{
			Name: "a namespace with the claims of a StatefulSet", Given: []string{`kind: StatefulSet`}, Claims: []int32{0, 1, 2},
			Old: `kind: Namespace`, Want: []string{"namespace"},
		},
		{Name: "a namespace without a StatefulSet", Claims: []int32{0}, Old: `kind: Namespace`},
		{
			Name: "a namespace with the claims of a StatefulSet that was deleted", Given: []string{leftClaim},
			Old: `kind: Namespace`, Want: []string{"namespace"},
		},
		{
			Name: "a namespace with a protected claim", Old: `kind: Namespace`,
			Given: []string{`{kind: PersistentVolumeClaim, metadata: {labels: {mooring.dev/protect: "true"}}}`},
			Want:  []string{"protected"},
		},
		{
			Name: "a protected Service", Old: `{kind: Service, metadata: {labels: {mooring.dev/protect: "true"}}}`,
			Want: []string{"protected"},
		},
		{
			Name: "a protected StatefulSet, even without what it owns", DeleteOptions: "propagationPolicy: Orphan",
			Old:  `{kind: StatefulSet, metadata: {labels: {mooring.dev/protect: "true"}}}`,
			Want: []string{"protected"},
		},
		{
			Name: "a StatefulSet that the files do not have any more", InFiles: true,
			Old: `kind: StatefulSet`, Want: []string{"removed:Warn"},
		},
		{
			Name: "a StatefulSet that the files have under another name", InFiles: true,
			Old: `kind: StatefulSet`, Replacement: `{kind: StatefulSet, metadata: {name: database}}`, Want: []string{"renamed"},
		},
		{Name: "a Service that is not protected", Old: `{kind: Service, metadata: {labels: {mooring.dev/protect: "false"}}}`},
	},
}

func deletesNoData(ch Change, c Cluster, p v1alpha1.DeleteProtection) ([]Finding, error) {
	if ch.Operation == admissionv1.Update {
		return waitsForItsPod(ch, c, p)
	}
	if ch.Old.GetDeletionTimestamp() != nil {
		// It is going already, and a second delete takes nothing more.
		return nil, nil
	}
	if decided, err := ch.decided(c); decided || err != nil {
		return nil, err
	}
	found := labelled(ch.Old, p)
	var more []Finding
	var err error
	switch o := ch.Old.(type) {
	case *appsv1.StatefulSet:
		if !ch.orphans() {
			more, err = takesClaims(o, c, p)
			if len(more) == 0 && ch.InFiles {
				more = leavesFiles(ch, o)
			}
		}
	case *corev1.PersistentVolumeClaim:
		more, err = belongsToMember(o, c, p)
	case *corev1.PersistentVolume:
		more, err = holdsMember(o, c, p)
	case *corev1.Namespace:
		more, err = holdsData(o, c, p)
	}
	return append(found, more...), err
}

func protected(o Object) bool { return o.GetLabels()[ProtectLabel] == "true" }

func labelled(o Object, p v1alpha1.DeleteProtection) []Finding {
	if !protected(o) {
		return nil
	}
	ref := RefTo(o)
	return []Finding{{
		Check: "protected", Action: p.Protected, Path: "metadata.labels",
		Message: fmt.Sprintf("%s is labelled %s=true: it is not to be deleted.", ref, ProtectLabel),
		Remedy:  fmt.Sprintf("if it is to go all the same, take the label off first: %s label %s %s %s-", kubectl(o), resources[ref.Kind], o.GetName(), ProtectLabel),
	}}
}

// resources are kubectl's names for the kinds that may be labelled against deletes.
var resources = map[string]string{
	"StatefulSet": "statefulset", "PersistentVolumeClaim": "persistentvolumeclaim", "Service": "service", "Namespace": "namespace",
}

// takesClaims says which claims the garbage collector would delete after the StatefulSet.
func takesClaims(set *appsv1.StatefulSet, c Cluster, p v1alpha1.DeleteProtection) ([]Finding, error) {
	whenDeleted := *retentionParts(retentionOf(set))[0].value
	told := whenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType && len(set.Spec.VolumeClaimTemplates) > 0
	f := Finding{Check: "data", Action: p.Data, Path: retentionPath + ".whenDeleted"}
	claims, err := c.Claims(set.Namespace)
	if errors.Is(err, ErrUnknown) && told {
		f.Unknown = true
		f.Message = fmt.Sprintf("whenDeleted is Delete: with StatefulSet %s its claims would be deleted, and their data.", set.Name)
		f.Remedy = keepClaims(set)
		return []Finding{f}, nil
	}
	if err != nil {
		return nil, err
	}
	// What the StatefulSet owns goes. Its controller makes it the owner of its members' claims a moment after it is told
	// to, and never takes a claim back whose Pod is gone.
	lost := slices.DeleteFunc(slices.Clone(claims), func(claim *corev1.PersistentVolumeClaim) bool {
		n, ok := ClaimOrdinal(set, claim)
		return !goesWith(claim, set) && !(told && ok && rangeOf(set).has(n))
	})
	switch {
	case len(lost) == 0:
		return nil, nil
	case told:
		f.Message = fmt.Sprintf("whenDeleted is Delete: with StatefulSet %s %s (%s) would be deleted, and their data.",
			set.Name, plural(len(lost), "claim"), names(lost))
		f.Remedy = keepClaims(set)
	default:
		f.Message = fmt.Sprintf("whenDeleted is Retain, but %s (%s) of StatefulSet %s would be deleted with it, and their data: ownerReferences from when it was Delete still name it.",
			plural(len(lost), "claim"), names(lost), set.Name)
		f.Remedy = fmt.Sprintf(`keep each of them: %s patch persistentvolumeclaim %s --type=merge -p '{"metadata":{"ownerReferences":null}}', and delete the StatefulSet then.`,
			kubectl(set), lost[0].Name)
	}
	return []Finding{f}, nil
}

// leavesFiles says what becomes of a StatefulSet that files do not have any more, or have under another name. Those who
// delete in a cluster know that they do; those who edit files may not.
func leavesFiles(ch Change, set *appsv1.StatefulSet) []Finding {
	f := Finding{Path: "metadata.name"}
	if next := ch.Replacement; next != nil {
		f.Check = "renamed"
		f.Message = fmt.Sprintf("StatefulSet %s becomes %s, which is another one: %s would stop, and %s start under names that their peers do not know.",
			set.Name, next.Name, podNames(set, ranges{rangeOf(set)}), podNames(next, ranges{rangeOf(next)}))
		if len(set.Spec.VolumeClaimTemplates) > 0 {
			f.Message = fmt.Sprintf("StatefulSet %s becomes %s, which is another one: %s would start on new, empty claims, and the data stay in those of %s.",
				set.Name, next.Name, podNames(next, ranges{rangeOf(next)}), podNames(set, ranges{rangeOf(set)}))
		}
		f.Remedy = fmt.Sprintf("leave the name %s, or add %s beside it, move the data over, and take %s away then.", set.Name, next.Name, set.Name)
	} else {
		f.Check, f.Unknown = "removed", true
		f.Message = fmt.Sprintf("StatefulSet %s is not among the files any more: what applies them and prunes would delete it. Its claims would stay, and nobody would clean them up.", set.Name)
		f.Remedy = "if it is to go, nothing; if not, put it back."
	}
	return []Finding{f}
}

func keepClaims(set *appsv1.StatefulSet) string {
	return fmt.Sprintf(`to put another in its place, leave Pods and claims: %[1]s delete statefulset %[2]s --cascade=orphan. To stop it and keep the data: %[1]s patch statefulset %[2]s -p '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}', and delete it then.`,
		kubectl(set), set.Name)
}

// goesWith tells whether the object names the StatefulSet as an owner, and so goes when it does.
func goesWith(o Object, set *appsv1.StatefulSet) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
		return set.UID != "" && owner.UID == set.UID
	})
}

// belongsToMember says whose data the claim holds.
func belongsToMember(claim *corev1.PersistentVolumeClaim, c Cluster, p v1alpha1.DeleteProtection) ([]Finding, error) {
	f := Finding{
		Check: "in-use", Action: p.InUse, Path: "metadata.name",
		Remedy: "back its data up first. If the member is to begin again with nothing, say so and try again: " +
			sayItIsMeant("delete-protection", "persistentvolumeclaim", claim),
	}
	pod, err1 := memberOn(claim, c)
	if pod != nil {
		f.Message = fmt.Sprintf("Pod %s runs on claim %s: the claim would hang in Terminating, and its data be gone as soon as the Pod restarts.", pod.Name, claim.Name)
		return []Finding{f}, err1
	}
	sets, err2 := c.StatefulSets(claim.Namespace)
	for _, set := range sets {
		if n, ok := ClaimOrdinal(set, claim); ok && set.DeletionTimestamp == nil && rangeOf(set).has(n) {
			f.Message = fmt.Sprintf("Claim %s holds the data of Pod %s-%d, which StatefulSet %s is about to start again: it would come up on a new, empty claim.",
				claim.Name, set.Name, n, set.Name)
			return []Finding{f}, errors.Join(err1, err2)
		}
	}
	return nil, errors.Join(err1, err2)
}

// pvcProtection is the finalizer that keeps a claim from going while a Pod uses it.
const pvcProtection = "kubernetes.io/pvc-protection"

// waitsForItsPod says whose claim it is that would go now, before its Pod does, as its finalizer is taken off.
func waitsForItsPod(ch Change, c Cluster, p v1alpha1.DeleteProtection) ([]Finding, error) {
	claim := ch.Old.(*corev1.PersistentVolumeClaim)
	if claim.DeletionTimestamp == nil || !slices.Contains(claim.Finalizers, pvcProtection) || slices.Contains(ch.New.GetFinalizers(), pvcProtection) {
		return nil, nil
	}
	if decided, err := ch.decided(c); decided || err != nil {
		return nil, err
	}
	pod, err := memberOn(claim, c)
	if pod == nil {
		return nil, err
	}
	f := Finding{
		Check: "finalizer", Action: p.InUse, Path: "metadata.finalizers",
		Message: fmt.Sprintf("Claim %s hangs in Terminating because Pod %s still runs on it. Without the finalizer %s it is gone at once, with its data, from under the running Pod.",
			claim.Name, pod.Name, pvcProtection),
		Remedy: fmt.Sprintf("leave it as long as the data is needed: it is all there while the Pod runs. Keep Pod %s running, and copy its data away.", pod.Name),
	}
	if volume := claim.Spec.VolumeName; volume != "" {
		f.Remedy += fmt.Sprintf(` To keep the volume whatever becomes of the claim: kubectl patch persistentvolume %s -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`, volume)
	}
	return []Finding{f}, err
}

// holdsMember says whose data is on the volume.
func holdsMember(volume *corev1.PersistentVolume, c Cluster, p v1alpha1.DeleteProtection) ([]Finding, error) {
	claimed := volume.Spec.ClaimRef
	if claimed == nil || volume.Status.Phase != corev1.VolumeBound {
		return nil, nil
	}
	claims, err := c.Claims(claimed.Namespace)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(claims, func(claim *corev1.PersistentVolumeClaim) bool { return claim.Name == claimed.Name })
	if i < 0 || claims[i].DeletionTimestamp != nil {
		// With its claim gone or going, whoever provisioned it may take it back, whatever its phase still says.
		return nil, nil
	}
	claim := claims[i]
	sets, err := c.StatefulSets(claimed.Namespace)
	for _, set := range sets {
		n, ok := ClaimOrdinal(set, claim)
		if !ok {
			continue
		}
		return []Finding{{
			Check: "volume", Action: p.InUse, Path: "metadata.name",
			Message: fmt.Sprintf("Volume %s holds the data of Pod %s-%d, by claim %s in namespace %s. It would hang in Terminating, which nobody can take back, and go as soon as the claim lets go of it.",
				volume.Name, set.Name, n, claim.Name, claim.Namespace),
			Remedy: fmt.Sprintf("leave it to its claim: when that is deleted, the volume goes too or stays, by its reclaim policy. See which: kubectl get persistentvolume %s. If it is to go all the same, say so and try again: %s",
				volume.Name, sayItIsMeant("delete-protection", "persistentvolume", volume)),
		}}, err
	}
	return nil, err
}

// memberOn returns the Pod of a StatefulSet that uses the claim, or nil.
func memberOn(claim *corev1.PersistentVolumeClaim, c Cluster) (*corev1.Pod, error) {
	pods, err := members(claim.Namespace, c)
	if i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return mounts(pod, claim.Name) }); i >= 0 {
		return pods[i], err
	}
	return nil, err
}

// members returns the Pods that were made by StatefulSets, be these there or not, and that have not ended.
func members(namespace string, c Cluster) ([]*corev1.Pod, error) {
	named, err := labels.NewRequirement(appsv1.StatefulSetPodNameLabel, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	pods, err := c.Pods(namespace, labels.NewSelector().Add(*named))
	return slices.DeleteFunc(slices.Clone(pods), finished), err
}

// finished tells whether the Pod runs nothing and never will again.
func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func mounts(pod *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// holdsData says what the namespace would take along: claims that StatefulSets have names for, whichever their ordinal, or
// that one had, and what is labelled against deletes. Nobody asks again once its controller empties the namespace.
func holdsData(namespace *corev1.Namespace, c Cluster, p v1alpha1.DeleteProtection) ([]Finding, error) {
	sets, err1 := c.StatefulSets(namespace.Name)
	claims, err2 := c.Claims(namespace.Name)
	var data []*corev1.PersistentVolumeClaim
	var marked []string
	for _, set := range sets {
		if protected(set) {
			marked = append(marked, "StatefulSet "+set.Name)
		}
	}
	for _, claim := range claims {
		if setOf(claim, sets) != nil || leftBehind(claim) {
			data = append(data, claim)
		}
		if protected(claim) {
			marked = append(marked, "PersistentVolumeClaim "+claim.Name)
		}
	}
	look := fmt.Sprintf("see what is there: kubectl -n %s get statefulsets,persistentvolumeclaims. ", namespace.Name)
	var found []Finding
	if len(data) > 0 {
		found = append(found, Finding{
			Check: "namespace", Action: p.Namespace, Path: "metadata.name",
			Message: fmt.Sprintf("Namespace %s holds the data of StatefulSets, in %s (%s): all of it would be deleted with everything else in the namespace.",
				namespace.Name, plural(len(data), "claim"), names(data)),
			Remedy: look + "If nobody needs the data, say so and try again: " + sayItIsMeant("delete-protection", "namespace", namespace),
		})
	}
	if len(marked) > 0 {
		found = append(found, Finding{
			Check: "protected", Action: p.Protected, Path: "metadata.name",
			Message: fmt.Sprintf("Namespace %s holds what is labelled %s=true (%s): it would be deleted with everything else in it.",
				namespace.Name, ProtectLabel, enumerate(slices.Values(marked), int64(len(marked)))),
			Remedy: look + "If it is to go all the same, take the labels off first.",
		})
	}
	return found, errors.Join(err1, err2)
}
