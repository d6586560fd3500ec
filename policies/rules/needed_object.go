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
	Title: "Objects that Pods need to start are not deleted",
	Doc: `If you delete a Secret, ConfigMap, ServiceAccount or PriorityClass that a Pod template needs, running Pods
continue, but Pods that restart do not start. The members then disappear one after the other. Objects that the template marks
as optional may be deleted, and so may objects that a Helm release deletes together with the StatefulSet. Mooring judges these
deletes by the object's name and reads no Secret. For a cluster-scoped object, the profiles of the namespaces that need it
apply.`,
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
		{Name: "class", Doc: "a claim template of a StatefulSet names the StorageClass (at most a warning, because to change a class you must recreate it)"},
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
	first, goes := sets[0], fmt.Sprintf("you want to remove StatefulSet %s too, delete it", sets[0].Name)
	who, its, pods := "StatefulSet "+first.Name+" needs", "its", words.Plural(statefulset.OrdinalsOf(first).Count(), "Pod")
	if len(sets) > 1 {
		who = fmt.Sprintf("%s (%s) need", words.Plural(len(sets), "StatefulSet"), words.Names(sets))
		its, pods, goes = "their", "Pods", "you want to remove the StatefulSets too, delete them"
	}
	f := policies.Finding{
		Check: "in-use", Path: "metadata.name",
		Message: fmt.Sprintf("%s %s %s: %s %s keep running, but do not start again once they stop.", who, kind.Kind, name, its, pods),
		Remedy:  fmt.Sprintf("keep it, and change it in place: %s. If %s first.", policies.Command("edit", ch.Old), goes),
	}
	if kind == kinds.StorageClass {
		f.Check, f.Action = "class", p.Action.AtMost(v1alpha1.Warn)
		f.Message = fmt.Sprintf("%s StorageClass %s for new claims: %s %s keep theirs, but new members stay Pending until the class exists again.", who, name, its, pods)
		f.Remedy = "create it again under the same name."
	}
	return []policies.Finding{f}, nil
}
