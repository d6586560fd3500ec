package rules

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var neededObject = policies.Rule{
	ID:    "needed-object",
	Title: "What Pods need to start is there",
	Doc: `A Pod runs on when the Secret, ConfigMap, ServiceAccount or PriorityClass is deleted that its template names, and does not
start again: one after the other, with each restart, the members stay away. What the template marks as optional may go, and so may
what one Helm release installed together with the StatefulSet, as it goes with it. A delete is judged by the object's name:
Mooring reads no Secret. What has no namespace is judged by the profiles of the namespaces that need it.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.Secret, remove),
		policies.On(kinds.ConfigMap, remove),
		policies.On(kinds.ServiceAccount, remove),
		policies.On(kinds.PriorityClass, remove),
		policies.On(kinds.StorageClass, remove),
	},
	Checks: []policies.Check{
		{Name: "in-use", Doc: "a StatefulSet's Pods do not start without the object"},
		{Name: "class", Doc: "a StatefulSet's claim template names the StorageClass (a warning at most: to change one, it has to be made again)"},
	},
	Logic: policies.Typed[v1alpha1.NeededObject]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.NeededObject { return &r.NeededObject },
		Baseline:   &v1alpha1.NeededObject{Enforcement: warn},
		Restricted: &v1alpha1.NeededObject{Enforcement: deny},
		Change:     nobodyNeeds,
	},
}

func nobodyNeeds(ch policies.Change, c policies.Cluster, p v1alpha1.NeededObject) ([]policies.Finding, error) {
	kind, name := kinds.Of(ch.Old), ch.Old.GetName()
	sets, err := policies.InNeedOf(ch.Old, c)
	if err != nil {
		return nil, err
	}
	sets = slices.DeleteFunc(sets, func(set *appsv1.StatefulSet) bool { return sameRelease(ch.Old, set) })
	if len(sets) == 0 {
		return nil, nil
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	first, goes := sets[0], fmt.Sprintf("StatefulSet %s is to go as well, delete that", sets[0].Name)
	who, its, pods := "StatefulSet "+first.Name+" needs", "its", words.Plural(statefulset.OrdinalsOf(first).Count(), "Pod")
	if len(sets) > 1 {
		who = fmt.Sprintf("%s (%s) need", words.Plural(len(sets), "StatefulSet"), words.Names(sets))
		its, pods, goes = "their", "Pods", "the StatefulSets are to go as well, delete those"
	}
	f := policies.Finding{
		Check: "in-use", Path: "metadata.name",
		Message: fmt.Sprintf("%s %s %s: %s %s run on, and do not start again once they stop.", who, kind.Kind, name, its, pods),
		Remedy:  fmt.Sprintf("leave it, and change it in place: %s edit %s %s. If %s first.", policies.Kubectl(ch.Old), kind.Singular(), name, goes),
	}
	if kind == kinds.StorageClass {
		f.Check, f.Action = "class", p.Action.AtMost(v1alpha1.Warn)
		f.Message = fmt.Sprintf("%s StorageClass %s for new claims: %s %s keep theirs, and new members wait for a claim until the class is back.", who, name, its, pods)
		f.Remedy = "create it again under the same name; nothing else in it can be changed."
	}
	return []policies.Finding{f}, nil
}
