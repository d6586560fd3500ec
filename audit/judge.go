package audit

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/report"
)

// judgement is the result for one namespace.
type judgement struct {
	findings []policies.Finding
	// objects and sets count the judged objects and StatefulSets.
	objects, sets int
}

// judge judges the selected objects of the namespace.
func (c *cluster) judge(set *policies.Set, selector labels.Selector, clock policies.Clock) (judgement, error) {
	var j judgement
	for _, o := range c.judged() {
		if !selector.Matches(labels.Set(o.GetLabels())) {
			continue
		}
		verdict, err := set.Inspect(o, c, clock)
		if err != nil {
			return j, inNamespace(c.name, err)
		}
		j.objects++
		if _, ok := o.(*appsv1.StatefulSet); ok {
			j.sets++
		}
		j.findings = append(j.findings, verdict.Findings...)
	}
	return j, nil
}

// judged returns the objects that rules judge. Of the Services these are only the governing ones. The order is fixed, so that
// results are reproducible.
func (c *cluster) judged() []kinds.Object {
	governing := map[string]bool{}
	for _, set := range all[*appsv1.StatefulSet](c) {
		governing[set.Spec.ServiceName] = true
	}
	var judged []kinds.Object
	for _, kind := range inNamespaces {
		for _, o := range byName(c.objects[kind]) {
			if rules.Judge(kind) && (kind != kinds.Service || governing[o.GetName()]) {
				judged = append(judged, o)
			}
		}
	}
	if namespace := c.namespace(); namespace != nil {
		judged = append(judged, namespace)
	}
	return judged
}

// inventory lists the namespace's StatefulSets and their claims.
func (c *cluster) inventory(selector labels.Selector, defaultProfile string) []report.Workload {
	profile := defaultProfile
	if namespace := c.namespace(); namespace != nil {
		profile = cmp.Or(namespace.Labels[policies.ProfileLabel], profile)
	}
	claims := c.claimsBySet()
	var found []report.Workload
	for _, set := range all[*appsv1.StatefulSet](c) {
		if !selector.Matches(labels.Set(set.Labels)) {
			continue
		}
		retention := statefulset.Retention(set)
		found = append(found, report.Workload{
			Namespace: set.Namespace, Name: set.Name, Replicas: int32(statefulset.OrdinalsOf(set).Count()), Ready: set.Status.ReadyReplicas,
			Claims: len(claims[set.Name]), Bytes: sizeOf(claims[set.Name]),
			WhenDeleted: string(retention.WhenDeleted), WhenScaled: string(retention.WhenScaled),
			Profile: profile, Protected: set.Labels[policies.ProtectLabel] == "true",
		})
	}
	return found
}

func sizeOf(claims []*corev1.PersistentVolumeClaim) int64 {
	var n int64
	for _, claim := range claims {
		n += claim.Spec.Resources.Requests.Storage().Value()
	}
	return n
}
