package entries

import (
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// guards is when baseline can refuse a request that takes something away. All deletes do, and the updates named here. What
// baseline only warns of is left to lint: an outage must not refuse more than Mooring does.
func guards(c call) condition {
	switch {
	case c == call{kinds.StatefulSet, "", admissionv1.Update}:
		return `object.spec.?replicas.orValue(1) < oldObject.spec.?replicas.orValue(1) ||
object.spec.?ordinals.?start.orValue(0) != oldObject.spec.?ordinals.?start.orValue(0) ||
` + ownerIsNew

	case c == call{kinds.StatefulSet, "scale", admissionv1.Update}:
		return LowersScale

	case c == call{kinds.PersistentVolumeClaim, "", admissionv1.Update}:
		// A claim that is being deleted is about to lose the finalizer that keeps it while a Pod uses it.
		return `oldObject.metadata.?deletionTimestamp.hasValue() &&
'kubernetes.io/pvc-protection' in oldObject.metadata.?finalizers.orValue([]) &&
!('kubernetes.io/pvc-protection' in object.metadata.?finalizers.orValue([])) ||
` + ownerIsNew

	case c == call{kinds.PersistentVolumeClaim, "", admissionv1.Delete}:
		// A claim that was never bound, or has lost its volume, holds no data.
		return `!(oldObject.?status.?phase.orValue('') in ['Pending', 'Lost']) ||
` + isProtected

	case c == call{kinds.Service, "", admissionv1.Delete}:
		return isProtected

	case c == call{kinds.PersistentVolume, "", admissionv1.Delete}:
		return `oldObject.?status.?phase.orValue('') == 'Bound'`

	case c.operation == admissionv1.Delete && !c.kind.Replaceable:
		return always
	}
	return never
}

// isProtected is when what is deleted is labelled against it.
const isProtected = `oldObject.metadata.?labels[?'mooring.dev/protect'].orValue('') == 'true'`

// LowersScale is when a request to scale asks for less. A Scale has no replicas field when it asks for none.
const LowersScale = `object.?spec.?replicas.orValue(0) < oldObject.?spec.?replicas.orValue(0)`

// members is when the Pod may be a StatefulSet's. An eviction says no more of it than its name.
func members(c call) condition {
	if c.subresource == "eviction" {
		return `request.name.matches('-[0-9]+$')`
	}
	// Node agents know that a Pod has stopped.
	return `oldObject.metadata.?ownerReferences.orValue([]).exists(o, o.kind == 'StatefulSet') &&
!request.userInfo.username.startsWith('system:node:')`
}

// ownerIsNew is when an update adds an owner. If that does not exist, the garbage collector deletes the object.
const ownerIsNew = `object.metadata.?ownerReferences.orValue([]).exists(o,
  !oldObject.metadata.?ownerReferences.orValue([]).exists(before, before.uid == o.uid))`

// lints is when a request that guard does not judge is judged: both entries judge every rule, so that one call is enough.
func lints(c call) condition {
	concerned, guarded := concerns(c), guards(c)
	switch {
	case concerned == never || guarded == always:
		return never
	case guarded == never:
		return concerned
	case concerned == always:
		return condition(fmt.Sprintf("!(\n%s\n)", indented(guarded)))
	}
	return condition(fmt.Sprintf("(\n%s\n) && !(\n%s\n)", indented(concerned), indented(guarded)))
}

// concerns is when a request is worth judging, be it by guard or by lint.
func concerns(c call) condition {
	switch {
	case c.kind == kinds.Deployment:
		// Deployments are judged in files and audits. To be asked about each would cost a cluster more than it brings.
		return never
	case c == call{kinds.Pod, "", admissionv1.Update}:
		return members(c) + ` &&
oldObject.metadata.?labels.orValue({}).exists(name, object.metadata.?labels[?name].orValue('') != oldObject.metadata.labels[name])`
	case c.kind == kinds.Pod:
		return members(c)
	case c == call{kinds.Node, "", admissionv1.Update}:
		// Nodes are updated all day, and seldom by people.
		return `object.spec.?taints.orValue([]).exists(t, t.effect == 'NoExecute' &&
  !oldObject.spec.?taints.orValue([]).exists(was, was.key == t.key && was.effect == t.effect && was.?value == t.?value))`
	case c == call{kinds.Node, "", admissionv1.Delete}:
		// Whoever put a finalizer on it empties it first.
		return `oldObject.?status.?conditions.orValue([]).exists(c, c.type == 'Ready' && c.status == 'True') &&
oldObject.metadata.?finalizers.orValue([]).size() == 0`
	case c.kind == kinds.Secret && c.operation == admissionv1.Delete:
		// Helm keeps each revision of a release in one.
		return `oldObject.?type.orValue('') != 'helm.sh/release.v1'`
	case c == call{kinds.Service, "", admissionv1.Delete}:
		// It can give Pods their names.
		return `oldObject.spec.?clusterIP.orValue('') == 'None'`
	case c.operation == admissionv1.Delete && c.kind.Replaceable:
		return always
	case c == call{kinds.StatefulSet, "scale", admissionv1.Update}:
		// The members that are added are a majority of all, or the first.
		return `object.?spec.?replicas.orValue(0) - oldObject.?spec.?replicas.orValue(0) > object.?spec.?replicas.orValue(0) / 2`
	case c.subresource != "" || c.operation == admissionv1.Delete:
		return never
	case c.operation == admissionv1.Create:
		return always
	case c.kind == kinds.PersistentVolumeClaim:
		// Claims are updated eight times in their life by controllers. Guard judges the updates that matter.
		return never
	case c.kind == kinds.PersistentVolume:
		// It is not kept any more, or taken from its claim.
		return `oldObject.spec.?persistentVolumeReclaimPolicy.orValue('') == 'Retain' && object.spec.?persistentVolumeReclaimPolicy.orValue('') != 'Retain' ||
oldObject.?status.?phase.orValue('') == 'Bound' && object.spec.?claimRef.?uid != oldObject.spec.?claimRef.?uid`
	}
	return changes(c.kind)
}

// changes is when an update changes what rules read of the kind's spec.
func changes(kind *kinds.Kind) condition {
	fields := kind.Spec()
	if len(fields) > 6 {
		return `object.spec != oldObject.spec`
	}
	var differ []string
	for _, field := range fields {
		differ = append(differ, fmt.Sprintf("object.spec.?%s != oldObject.spec.?%[1]s", field))
	}
	return condition(strings.Join(differ, " ||\n"))
}

// fills is when there may be something to fill in: a StatefulSet that is new or changes, a volume that is made for a claim, and
// the replicas that an autoscaler may have instead of those it asks for.
func fills(c call) condition {
	switch {
	case c.kind == kinds.PersistentVolume:
		return `has(object.spec.claimRef)`
	case c.subresource != "":
		return guards(c)
	case c.operation == admissionv1.Update:
		return changes(c.kind)
	}
	return always
}
