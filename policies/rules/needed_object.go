package rules

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

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
Mooring reads no Secret. A PriorityClass has no namespace, and is judged by the default profile.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.Secret, remove),
		policies.On(kinds.ConfigMap, remove),
		policies.On(kinds.ServiceAccount, remove),
		policies.On(kinds.PriorityClass, remove),
	},
	Checks: []policies.Check{{Name: "in-use", Doc: "a StatefulSet's Pods do not start without the object"}},
	Logic: policies.Typed[v1alpha1.NeededObject]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.NeededObject { return &r.NeededObject },
		Baseline:   &v1alpha1.NeededObject{Enforcement: warn},
		Restricted: &v1alpha1.NeededObject{Enforcement: deny},
		Change:     nobodyNeeds,
	},
}

func nobodyNeeds(ch policies.Change, c policies.Cluster, _ v1alpha1.NeededObject) ([]policies.Finding, error) {
	kind, name := kinds.Of(ch.Old), ch.Old.GetName()
	sets, _, err := policies.List[*appsv1.StatefulSet](c, ch.Old.GetNamespace())
	if err != nil {
		return nil, err
	}
	sets = slices.DeleteFunc(slices.Clone(sets), func(set *appsv1.StatefulSet) bool {
		return set.DeletionTimestamp != nil || statefulset.OrdinalsOf(set).Count() == 0 ||
			!needs(set.Spec.Template.Spec, kind, name) || sameRelease(ch.Old, set)
	})
	if len(sets) == 0 {
		return nil, nil
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	set := sets[0]
	f := policies.Finding{
		Check: "in-use", Path: "metadata.name",
		Message: fmt.Sprintf("StatefulSet %s needs %s %s: its %s run on, and do not start again once they stop.",
			set.Name, kind.Kind, name, words.Plural(statefulset.OrdinalsOf(set).Count(), "Pod")),
		Remedy: fmt.Sprintf("leave it, and change it in place: %s edit %s %s. If StatefulSet %s is to go as well, delete that first.",
			policies.Kubectl(ch.Old), kind.Singular(), name, set.Name),
	}
	if len(sets) > 1 {
		f.Message = fmt.Sprintf("%s (%s) need %s %s: their Pods run on, and do not start again once they stop.",
			words.Plural(len(sets), "StatefulSet"), words.Names(sets), kind.Kind, name)
		f.Remedy = fmt.Sprintf("leave it, and change it in place: %s edit %s %s. If the StatefulSets are to go as well, delete those first.",
			policies.Kubectl(ch.Old), kind.Singular(), name)
	}
	return []policies.Finding{f}, nil
}

// needs tells whether Pods of the spec do not start without the object.
func needs(pod corev1.PodSpec, kind *kinds.Kind, name string) bool {
	switch kind {
	case kinds.PriorityClass:
		return pod.PriorityClassName == name
	case kinds.ServiceAccount:
		return cmp.Or(pod.ServiceAccountName, pod.DeprecatedServiceAccount) == name
	}
	needed := func(is *kinds.Kind, named string, optional *bool) bool {
		return kind == is && named == name && !ptr.Deref(optional, false)
	}
	if slices.ContainsFunc(pod.ImagePullSecrets, func(s corev1.LocalObjectReference) bool { return needed(kinds.Secret, s.Name, nil) }) {
		return true
	}
	if slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool {
		return v.Secret != nil && needed(kinds.Secret, v.Secret.SecretName, v.Secret.Optional) ||
			v.ConfigMap != nil && needed(kinds.ConfigMap, v.ConfigMap.Name, v.ConfigMap.Optional) ||
			v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
				return s.Secret != nil && needed(kinds.Secret, s.Secret.Name, s.Secret.Optional) ||
					s.ConfigMap != nil && needed(kinds.ConfigMap, s.ConfigMap.Name, s.ConfigMap.Optional)
			})
	}) {
		return true
	}
	return slices.ContainsFunc(slices.Concat(pod.InitContainers, pod.Containers), func(container corev1.Container) bool {
		return slices.ContainsFunc(container.EnvFrom, func(e corev1.EnvFromSource) bool {
			return e.SecretRef != nil && needed(kinds.Secret, e.SecretRef.Name, e.SecretRef.Optional) ||
				e.ConfigMapRef != nil && needed(kinds.ConfigMap, e.ConfigMapRef.Name, e.ConfigMapRef.Optional)
		}) || slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool {
			from := ptr.Deref(e.ValueFrom, corev1.EnvVarSource{})
			return from.SecretKeyRef != nil && needed(kinds.Secret, from.SecretKeyRef.Name, from.SecretKeyRef.Optional) ||
				from.ConfigMapKeyRef != nil && needed(kinds.ConfigMap, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Optional)
		})
	})
}
