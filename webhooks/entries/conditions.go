package entries

import (
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// guards is true if baseline can refuse the request: all deletes, and these updates. What baseline only warns about is left to
// lint, because an outage must not refuse more than Mooring does.
func guards(c call) condition {
	switch {
	case c == call{kinds.StatefulSet, "", admissionv1.Update}:
		return `object.spec.?replicas.orValue(1) < oldObject.spec.?replicas.orValue(1) ||
object.spec.?ordinals.?start.orValue(0) != oldObject.spec.?ordinals.?start.orValue(0) ||
` + ownerIsNew

	case c == call{kinds.StatefulSet, "scale", admissionv1.Update}:
		return LowersScale

	case c == call{kinds.PersistentVolumeClaim, "", admissionv1.Update}:
		// A Terminating claim is about to lose the finalizer that keeps it while a Pod uses it.
		return `oldObject.metadata.?deletionTimestamp.hasValue() &&
'kubernetes.io/pvc-protection' in oldObject.metadata.?finalizers.orValue([]) &&
!('kubernetes.io/pvc-protection' in object.metadata.?finalizers.orValue([])) ||
` + ownerIsNew

	case c == call{kinds.PersistentVolumeClaim, "", admissionv1.Delete}:
		// A claim that was never bound, or is Lost, holds no data.
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

// isProtected is true if the deleted object has the protect label.
const isProtected = `oldObject.metadata.?labels[?'mooring.dev/protect'].orValue('') == 'true'`

// LowersScale is true if a scale request asks for less. A Scale without the replicas field asks for none.
const LowersScale = `object.?spec.?replicas.orValue(0) < oldObject.?spec.?replicas.orValue(0)`

// members is true if the Pod may be a StatefulSet's. An eviction has only the Pod's name.
func members(c call) condition {
	if c.subresource == "eviction" {
		return `request.name.matches('-[0-9]+$')`
	}
	// Kubelets know that a Pod has stopped.
	return `oldObject.metadata.?ownerReferences.orValue([]).exists(o, o.kind == 'StatefulSet') &&
!request.userInfo.username.startsWith('system:node:')`
}

// ownerIsNew is true if an update adds an owner. If the owner does not exist, the garbage collector deletes the object.
const ownerIsNew = `object.metadata.?ownerReferences.orValue([]).exists(o,
  !oldObject.metadata.?ownerReferences.orValue([]).exists(before, before.uid == o.uid))`

// lints is true if the request is judged, but not by guard. Both entries judge all rules, so one call is enough.
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

// concerns is true if guard or lint must judge the request.
func concerns(c call) condition {
	switch {
	case c.kind == kinds.Deployment:
		// Deployments are judged in files and audits only: a call for each would cost too much.
		return never
	case c == call{kinds.Pod, "", admissionv1.Update}:
		return members(c) + ` &&
oldObject.metadata.?labels.orValue({}).exists(name, object.metadata.?labels[?name].orValue('') != oldObject.metadata.labels[name])`
	case c.kind == kinds.Pod:
		return members(c)
	case c == call{kinds.Node, "", admissionv1.Update}:
		// Nodes are updated constantly, and seldom by people.
		return `object.spec.?taints.orValue([]).exists(t, t.effect == 'NoExecute' &&
  !oldObject.spec.?taints.orValue([]).exists(was, was.key == t.key && was.effect == t.effect && was.?value == t.?value))`
	case c == call{kinds.Node, "", admissionv1.Delete}:
		// The controller of a finalizer drains the node first.
		return `oldObject.?status.?conditions.orValue([]).exists(c, c.type == 'Ready' && c.status == 'True') &&
oldObject.metadata.?finalizers.orValue([]).size() == 0`
	case c.kind == kinds.Secret && c.operation == admissionv1.Delete:
		// Helm stores each revision of a release in one.
		return `oldObject.?type.orValue('') != 'helm.sh/release.v1'`
	case c == call{kinds.Service, "", admissionv1.Delete}:
		// It can give Pods their names.
		return `oldObject.spec.?clusterIP.orValue('') == 'None'`
	case c.operation == admissionv1.Delete && c.kind.Replaceable:
		return always
	case c == call{kinds.StatefulSet, "scale", admissionv1.Update}:
		// The added members are a majority, or the first members.
		return `object.?spec.?replicas.orValue(0) - oldObject.?spec.?replicas.orValue(0) > object.?spec.?replicas.orValue(0) / 2`
	case c.subresource != "" || c.operation == admissionv1.Delete:
		return never
	case c == call{kinds.StorageClass, "", admissionv1.Create}:
		return `object.?reclaimPolicy.orValue('Delete') != 'Retain'`
	case c.operation == admissionv1.Create:
		return always
	case c.kind == kinds.PersistentVolumeClaim:
		// Controllers update a claim eight times in its life. Guard judges the updates that matter.
		return never
	case c.kind == kinds.PersistentVolume:
		// It is no longer kept, or is removed from its claim.
		return `oldObject.spec.?persistentVolumeReclaimPolicy.orValue('') == 'Retain' && object.spec.?persistentVolumeReclaimPolicy.orValue('') != 'Retain' ||
oldObject.?status.?phase.orValue('') == 'Bound' && object.spec.?claimRef.?uid != oldObject.spec.?claimRef.?uid`
	}
	return changes(c.kind)
}

// changes is true if an update changes fields of the kind's spec that rules read.
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

// fills is true if there may be defaults to set: for a new or changed StatefulSet, for a volume created for a claim, and for the
// replicas that an autoscaler asks for.
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
