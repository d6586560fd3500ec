package webhooks

import (
	"maps"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Cached returns an empty object of each kind that is read through the cache, with what takes from each object of that
// kind what no rule reads in it.
func Cached() map[client.Object]cache.ByObject {
	core, apps, policy, storage := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, policyv1.SchemeGroupVersion, storagev1.SchemeGroupVersion
	return map[client.Object]cache.ByObject{
		&corev1.Namespace{}:             strip(core.WithKind("Namespace"), func(*corev1.Namespace) {}),
		&corev1.Service{}:               strip(core.WithKind("Service"), stripService),
		&corev1.PersistentVolumeClaim{}: strip(core.WithKind("PersistentVolumeClaim"), stripClaim),
		&appsv1.StatefulSet{}:           strip(apps.WithKind("StatefulSet"), stripStatefulSet),
		&policyv1.PodDisruptionBudget{}: strip(policy.WithKind("PodDisruptionBudget"), stripBudget),
		&storagev1.StorageClass{}:       strip(storage.WithKind("StorageClass"), func(*storagev1.StorageClass) {}),
	}
}

// strip returns a transformation that takes from an object what is the larger part of most, and then of kind T what more
// says.
func strip[T client.Object](kind schema.GroupVersionKind, more func(T)) cache.ByObject {
	return cache.ByObject{Transform: func(o any) (any, error) {
		if object, ok := o.(T); ok {
			// What is read from a cache without a copy has the kind that is written in it.
			object.GetObjectKind().SetGroupVersionKind(kind)
			object.SetManagedFields(nil)
			annotations := object.GetAnnotations()
			delete(annotations, corev1.LastAppliedConfigAnnotation)
			if len(annotations) == 0 {
				object.SetAnnotations(nil)
			}
			more(object)
		}
		return o, nil
	}}
}

func stripService(s *corev1.Service) {
	s.Spec.Ports, s.Status = nil, corev1.ServiceStatus{}
}

// stripBudget leaves of the status what tells whether the budget blocks for ever.
func stripBudget(b *policyv1.PodDisruptionBudget) {
	b.Status = policyv1.PodDisruptionBudgetStatus{DesiredHealthy: b.Status.DesiredHealthy, ExpectedPods: b.Status.ExpectedPods}
}

// stripClaim leaves what the creation of a StatefulSet is judged by, and what the scanner tells of claims. Whoever deletes
// or scales down is judged by the claims as the API server has them.
func stripClaim(c *corev1.PersistentVolumeClaim) {
	c.Annotations, c.Finalizers, c.Status = nil, nil, corev1.PersistentVolumeClaimStatus{}
	c.Spec = corev1.PersistentVolumeClaimSpec{
		AccessModes: c.Spec.AccessModes, StorageClassName: c.Spec.StorageClassName, VolumeMode: c.Spec.VolumeMode, VolumeName: c.Spec.VolumeName,
		Resources: corev1.VolumeResourceRequirements{Requests: sized(c.Spec.Resources.Requests)},
	}
}

// stripStatefulSet leaves of a container whether it is asked for its readiness, and of the volumes those that are claims.
func stripStatefulSet(s *appsv1.StatefulSet) {
	for i := range s.Spec.VolumeClaimTemplates {
		stripClaim(&s.Spec.VolumeClaimTemplates[i])
	}
	template := &s.Spec.Template
	template.Annotations = nil
	template.Spec = corev1.PodSpec{
		Containers: stripContainers(template.Spec.Containers), InitContainers: stripContainers(template.Spec.InitContainers),
		Volumes:  slices.DeleteFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim == nil }),
		Affinity: template.Spec.Affinity, TopologySpreadConstraints: template.Spec.TopologySpreadConstraints,
		TerminationGracePeriodSeconds: template.Spec.TerminationGracePeriodSeconds,
	}
	if len(template.Spec.Volumes) == 0 {
		template.Spec.Volumes = nil
	}
	// They are the same more often than not, and a small map takes as much as twenty short strings.
	if maps.Equal(template.Labels, s.Labels) {
		template.Labels = s.Labels
	}
	if s.Spec.Selector != nil && maps.Equal(template.Labels, s.Spec.Selector.MatchLabels) {
		s.Spec.Selector.MatchLabels = template.Labels
	}
}

func stripContainers(containers []corev1.Container) []corev1.Container {
	for i, c := range containers {
		containers[i] = corev1.Container{Name: c.Name, Image: c.Image, RestartPolicy: c.RestartPolicy, ReadinessProbe: c.ReadinessProbe}
	}
	return containers
}

// sizes holds one list for each size of storage that was asked for: they are few, and a list takes 700 bytes.
var sizes sync.Map

func sized(asked corev1.ResourceList) corev1.ResourceList {
	size, ok := asked[corev1.ResourceStorage]
	if !ok {
		return nil
	}
	list, _ := sizes.LoadOrStore(size.String(), corev1.ResourceList{corev1.ResourceStorage: size})
	return list.(corev1.ResourceList)
}
