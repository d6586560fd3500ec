package audit

import (
	"cmp"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/report"
)

// judgement is what is to be said of one namespace.
type judgement struct {
	findings []policies.Finding
	// objects and sets count what was judged.
	objects, sets int
}

// judge has the policies say what they have against what stands in the namespace, of what the selector selects.
func (p *view) judge(set *policies.Set, selector labels.Selector) (judgement, error) {
	var j judgement
	for _, o := range p.objects() {
		if !selector.Matches(labels.Set(o.GetLabels())) {
			continue
		}
		verdict, err := set.Inspect(o, p)
		if err != nil {
			return j, inNamespace(p.name, err)
		}
		j.objects++
		if _, ok := o.(*appsv1.StatefulSet); ok {
			j.sets++
		}
		j.findings = append(j.findings, verdict.Findings...)
	}
	return j, nil
}

// objects are those that are judged: of the Services only those that govern a StatefulSet, as no rule is about others. They
// come in an order of their own, so that the same namespace is judged in the same words.
func (p *view) objects() []policies.Object {
	var all []policies.Object
	governing := map[string]*corev1.Service{}
	for _, set := range sorted(p.sets) {
		all = append(all, set)
		if service := p.services[set.Spec.ServiceName]; service != nil {
			governing[service.Name] = service
		}
	}
	for _, claim := range sorted(p.claims) {
		all = append(all, claim)
	}
	for _, service := range sorted(governing) {
		all = append(all, service)
	}
	for _, o := range p.autoscalers {
		all = append(all, o)
	}
	for _, o := range p.deployments {
		all = append(all, o)
	}
	if namespace := p.namespaces[p.name]; namespace != nil {
		all = append(all, namespace)
	}
	return all
}

// inventory lists the StatefulSets of the namespace and what they hold.
func (p *view) inventory(selector labels.Selector, defaultProfile string) []report.Workload {
	profile := defaultProfile
	if namespace := p.namespaces[p.name]; namespace != nil {
		profile = cmp.Or(namespace.Labels[policies.ProfileLabel], profile)
	}
	var all []report.Workload
	for _, set := range sorted(p.sets) {
		if !selector.Matches(labels.Set(set.Labels)) {
			continue
		}
		retention := retentionOf(set)
		all = append(all, report.Workload{
			Namespace: set.Namespace, Name: set.Name, Replicas: replicasOf(set), Ready: set.Status.ReadyReplicas,
			Claims: len(p.claimsOf[set.Name]), Bytes: sizeOf(p.claimsOf[set.Name]),
			WhenDeleted: string(retention.WhenDeleted), WhenScaled: string(retention.WhenScaled),
			Profile: profile, Protected: set.Labels[policies.ProtectLabel] == "true",
		})
	}
	return all
}

func sizeOf(claims []*corev1.PersistentVolumeClaim) int64 {
	var n int64
	for _, claim := range claims {
		n += claim.Spec.Resources.Requests.Storage().Value()
	}
	return n
}

// replicasOf returns how many replicas the StatefulSet wants; absent ones count as 1, as the API server has it.
func replicasOf(set *appsv1.StatefulSet) int32 { return ptr.Deref(set.Spec.Replicas, 1) }

// retentionOf returns the retention policy, Retain where the API server knows none.
func retentionOf(set *appsv1.StatefulSet) appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	const retain = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	r := ptr.Deref(set.Spec.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	return appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: cmp.Or(r.WhenDeleted, retain), WhenScaled: cmp.Or(r.WhenScaled, retain)}
}

// sorted returns the objects in the order of their names.
func sorted[T any](from map[string]T) []T {
	all := make([]T, 0, len(from))
	for _, name := range slices.Sorted(maps.Keys(from)) {
		all = append(all, from[name])
	}
	return all
}

// day writes a time as people name it in a message that does not change with every hour that passes.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
