package rules

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var autoscalerFloor = policies.Rule{
	ID:    "autoscaler-floor",
	Title: "An autoscaler does not go below the majority",
	Doc: `When load is low, a HorizontalPodAutoscaler scales a StatefulSet down to minReplicas, which defaults to 1. It
knows load, but neither quorum nor data. Its floor must therefore be at least the policy's minReplicas, or the majority of the
replicas that the StatefulSet has.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.HorizontalPodAutoscaler, create, update)},
	Checks:   []policies.Check{{Name: "below", Doc: "minReplicas is below the floor of the StatefulSet it scales"}},
	Logic: policies.Typed[v1alpha1.AutoscalerFloor]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.AutoscalerFloor { return &r.AutoscalerFloor },
		Baseline:   &v1alpha1.AutoscalerFloor{Enforcement: warn},
		Restricted: &v1alpha1.AutoscalerFloor{Enforcement: deny},
		Object:     staysAboveFloor,
		Validate:   agreesWithScaleDown,
	},
}

func staysAboveFloor(o kinds.Object, c policies.Cluster, p v1alpha1.AutoscalerFloor) ([]policies.Finding, error) {
	hpa := o.(*autoscalingv2.HorizontalPodAutoscaler)
	target := hpa.Spec.ScaleTargetRef
	if target.Kind != "StatefulSet" {
		return nil, nil
	}
	least, is := int64(1), int64(1)
	if hpa.Spec.MinReplicas != nil {
		is = int64(*hpa.Spec.MinReplicas)
	}
	set, _, err := policies.Get[*appsv1.StatefulSet](c, hpa.Namespace, target.Name)
	switch {
	case p.MinReplicas != nil:
		least = int64(*p.MinReplicas)
	case err != nil:
		return nil, err
	case set != nil:
		least = statefulset.Majority(statefulset.OrdinalsOf(set).Count())
	}
	if is >= least {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "below", Path: "spec.minReplicas", Excess: least - is,
		Message: fmt.Sprintf("HorizontalPodAutoscaler %s can scale StatefulSet %s down to %s; its floor is %d, and fewer members are not a majority.", hpa.Name, target.Name, words.Plural(is, "replica"), least),
		Remedy:  fmt.Sprintf("set spec.minReplicas: %d", least),
	}}, nil
}

func agreesWithScaleDown(p v1alpha1.AutoscalerFloor, r v1alpha1.Rules, at *field.Path) field.ErrorList {
	if r.ScaleDown == nil || r.ScaleDown.MinReplicas == nil || p.MinReplicas == nil || *p.MinReplicas >= *r.ScaleDown.MinReplicas {
		return nil
	}
	return field.ErrorList{field.Invalid(at.Child("minReplicas"), *p.MinReplicas,
		fmt.Sprintf("is less than scaleDown.minReplicas (%d), so scale-down would refuse requests of the autoscaler", *r.ScaleDown.MinReplicas))}
}
