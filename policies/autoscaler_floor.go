package policies

import (
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var autoscalerFloor = Rule{
	ID:    "autoscaler-floor",
	Block: "autoscalerFloor",
	Title: "An autoscaler does not go below the majority",
	Doc: `A HorizontalPodAutoscaler on a StatefulSet goes down to minReplicas in a quiet hour, which is 1 where nobody wrote it.
It knows load and nothing of quorum or of data: its floor has to be one that the members can live with. That is the
policy's minReplicas, or the majority of the replicas that the StatefulSet has.`,
	Severity: Medium,
	On:       []Trigger{{"HorizontalPodAutoscaler", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks:   []Check{{"below", "minReplicas is below the floor of the StatefulSet it scales"}},
	blocks: typed(logic[v1alpha1.AutoscalerFloor]{
		params: func(r *v1alpha1.Rules) *v1alpha1.AutoscalerFloor { return r.AutoscalerFloor },
		object: staysAboveFloor,
	}),
	Cases: []Case{
		{Name: "not below the majority", Given: []string{`kind: StatefulSet`}, New: `{kind: HorizontalPodAutoscaler, spec: {minReplicas: 2}}`},
		{Name: "down to one", Given: []string{`kind: StatefulSet`}, New: `{kind: HorizontalPodAutoscaler, spec: {minReplicas: 1}}`, Want: []string{"below"}},
		{Name: "a floor nobody wrote", Given: []string{`kind: StatefulSet`}, New: `kind: HorizontalPodAutoscaler`, Want: []string{"below"}},
		{
			Name: "below the policy's floor", Policy: "action: Deny, minReplicas: 3", Given: []string{`kind: StatefulSet`},
			New: `{kind: HorizontalPodAutoscaler, spec: {minReplicas: 2}}`, Want: []string{"below"},
		},
		{
			Name: "an autoscaler of a Deployment", New: `{kind: HorizontalPodAutoscaler, spec: {scaleTargetRef: {kind: Deployment}}}`,
		},
		{
			Name: "raising what was too low", Given: []string{`kind: StatefulSet`}, Policy: "action: Deny, minReplicas: 3",
			Old: `{kind: HorizontalPodAutoscaler, spec: {minReplicas: 1}}`, New: `{kind: HorizontalPodAutoscaler, spec: {minReplicas: 2}}`,
			Want: []string{"below:Warn"},
		},
	},
}

func staysAboveFloor(o Object, c Cluster, p v1alpha1.AutoscalerFloor) ([]Finding, error) {
	hpa := o.(*autoscalingv2.HorizontalPodAutoscaler)
	target := hpa.Spec.ScaleTargetRef
	if target.Kind != "StatefulSet" {
		return nil, nil
	}
	least, is := int64(1), int64(1)
	if hpa.Spec.MinReplicas != nil {
		is = int64(*hpa.Spec.MinReplicas)
	}
	set, err := c.StatefulSet(hpa.Namespace, target.Name)
	switch {
	case p.MinReplicas != nil:
		least = int64(*p.MinReplicas)
	case err == nil:
		least = rangeOf(set).count()/2 + 1
	case !apierrors.IsNotFound(err) && !errors.Is(err, ErrUnknown):
		return nil, err
	}
	if is >= least {
		return nil, nil
	}
	return []Finding{{
		Check: "below", Path: "spec.minReplicas", Excess: least - is,
		Message: fmt.Sprintf("HorizontalPodAutoscaler %s may take StatefulSet %s down to %s in a quiet hour; its floor is %d, and fewer members can neither agree nor keep their data safe.", hpa.Name, target.Name, plural(is, "replica"), least),
		Remedy:  fmt.Sprintf(`%s patch horizontalpodautoscaler %s -p '{"spec":{"minReplicas":%d}}'`, kubectl(hpa), hpa.Name, least),
	}}, nil
}
