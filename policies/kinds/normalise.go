package kinds

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// Normalise sets the API server's defaults of the fields that rules read, so that an object from a file is judged as the API server
// would store it. Source: k8s.io/kubernetes pkg/apis/apps/v1/defaults.go and pkg/apis/core/v1/defaults.go.
func Normalise(o Object) {
	if k := Of(o); k != nil && k.normalise != nil {
		k.normalise(o)
	}
}

func normaliseStatefulSet(set *appsv1.StatefulSet) {
	spec := &set.Spec
	setDefault(&spec.Replicas, ptr.To[int32](1))
	setDefault(&spec.Template.Spec.TerminationGracePeriodSeconds, ptr.To[int64](corev1.DefaultTerminationGracePeriodSeconds))
	setDefault(&spec.RevisionHistoryLimit, ptr.To[int32](10))
	setDefault(&spec.PodManagementPolicy, appsv1.OrderedReadyPodManagement)

	strategy := &spec.UpdateStrategy
	if strategy.Type == "" {
		strategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		setDefault(&strategy.RollingUpdate, &appsv1.RollingUpdateStatefulSetStrategy{})
	}
	if rolling := strategy.RollingUpdate; rolling != nil && strategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		setDefault(&rolling.Partition, ptr.To[int32](0))
		setDefault(&rolling.MaxUnavailable, ptr.To(intstr.FromInt32(1)))
	}

	for i := range spec.VolumeClaimTemplates {
		claim := &spec.VolumeClaimTemplates[i]
		claim.APIVersion, claim.Kind = "v1", "PersistentVolumeClaim"
		setDefault(&claim.Spec.VolumeMode, ptr.To(corev1.PersistentVolumeFilesystem))
		setDefault(&claim.Status.Phase, corev1.ClaimPending)
	}

	setDefault(&spec.PersistentVolumeClaimRetentionPolicy, &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	setDefault(&spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	setDefault(&spec.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
}

func normaliseDeployment(d *appsv1.Deployment) {
	setDefault(&d.Spec.Replicas, ptr.To[int32](1))
	setDefault(&d.Spec.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
}

func setDefault[T comparable](at *T, value T) {
	var unset T
	if *at == unset {
		*at = value
	}
}
