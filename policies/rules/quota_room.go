package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var quotaRoom = policies.Rule{
	ID:    "quota-room",
	Title: "A quota leaves members room to come back",
	Doc: `A ResourceQuota applies when a Pod is created, not while it runs. The API server accepts a quota below what is in use, and nothing
happens until a member restarts: its new Pod is refused. Mooring judges quotas on Pods and on their CPU, memory and other requests and limits.
It ignores quotas on storage and on other objects. For a new quota it can only count Pods.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.ResourceQuota, create, update)},
	Checks:   []policies.Check{{Name: "less", Doc: "the quota is below what is in use, in a namespace with StatefulSets"}},
	Logic: policies.Typed[v1alpha1.QuotaRoom]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.QuotaRoom { return &r.QuotaRoom },
		Baseline:   &v1alpha1.QuotaRoom{Enforcement: warn},
		Restricted: &v1alpha1.QuotaRoom{Enforcement: deny},
		Change:     leavesRoom,
	},
}

func leavesRoom(ch policies.Change, c policies.Cluster, _ v1alpha1.QuotaRoom) ([]policies.Finding, error) {
	quota := ch.New.(*corev1.ResourceQuota)
	var before, used corev1.ResourceList
	if older, ok := ch.Old.(*corev1.ResourceQuota); ok {
		before, used = older.Spec.Hard, older.Status.Used
	}
	sets, _, err := policies.List[*appsv1.StatefulSet](c, quota.Namespace)
	if err != nil {
		return nil, err
	}
	sets = slices.DeleteFunc(slices.Clone(sets), func(set *appsv1.StatefulSet) bool {
		return set.DeletionTimestamp != nil || statefulset.OrdinalsOf(set).Count() == 0
	})
	if len(sets) == 0 {
		return nil, nil
	}
	scoped := len(quota.Spec.Scopes) > 0 || quota.Spec.ScopeSelector != nil
	if ch.Old == nil && !scoped {
		var members int64
		for _, set := range sets {
			members += statefulset.OrdinalsOf(set).Count()
		}
		used = corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(members, resource.DecimalSI)}
	}
	for _, name := range slices.Sorted(maps.Keys(quota.Spec.Hard)) {
		hard := quota.Spec.Hard[name]
		now, counted := used[name]
		was, limited := before[name]
		if !takesRoom(name) || !counted || hard.Cmp(now) >= 0 || limited && hard.Cmp(was) >= 0 {
			continue
		}
		return []policies.Finding{{
			Check: "less", Path: "spec.hard", Unknown: scoped,
			Message: fmt.Sprintf("ResourceQuota %s limits %s to %s, but %s are in use: if a member of StatefulSet %s restarts, its Pod is refused.",
				quota.Name, name, hard.String(), now.String(), sets[0].Name),
			Remedy: fmt.Sprintf(`allow at least what is in use: %s patch resourcequota %s --type=merge -p '{"spec":{"hard":{"%s":"%s"}}}'`,
				policies.Kubectl(quota), quota.Name, name, now.String()),
		}}, nil
	}
	return nil, nil
}

// takesRoom reports whether a new Pod counts against the resource.
func takesRoom(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourcePods, "count/pods", corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return true
	case corev1.ResourceRequestsStorage:
		return false
	}
	return strings.HasPrefix(string(name), "requests.") || strings.HasPrefix(string(name), "limits.")
}
