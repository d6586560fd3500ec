package rules

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var notReadyAddresses = policies.Rule{
	ID:    "not-ready-addresses",
	Title: "Members find each other before they are ready",
	Doc: `A headless Service gives a Pod its DNS name when the Pod is ready. The members of most databases must find each
other to become ready. Without publishNotReadyAddresses they wait forever. This matters if a StatefulSet has more than one
replica and a readiness probe; without a probe its Pods are ready at once.`,
	Severity: policies.Low,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks:   []policies.Check{{Name: "hidden", Doc: "the governing Service gives Pods no DNS names until they are ready"}},
	Logic: policies.Typed[v1alpha1.NotReadyAddresses]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.NotReadyAddresses { return &r.NotReadyAddresses },
		Restricted: &v1alpha1.NotReadyAddresses{Enforcement: warn},
		Object:     publishesNotReadyAddresses,
	},
}

func publishesNotReadyAddresses(o kinds.Object, c policies.Cluster, _ v1alpha1.NotReadyAddresses) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if statefulset.OrdinalsOf(set).Count() < 2 || !statefulset.ProbesReadiness(set) || set.Spec.ServiceName == "" {
		return nil, nil
	}
	service, _, err := policies.Get[*corev1.Service](c, set.Namespace, set.Spec.ServiceName)
	// headless-service reports a missing Service.
	if err != nil || service == nil || service.Spec.PublishNotReadyAddresses {
		return nil, err
	}
	return []policies.Finding{{
		Check: "hidden", Path: "spec.serviceName",
		Message: fmt.Sprintf("Service %s gives the Pods of StatefulSet %s no DNS names until they are ready; members that need each other to become ready never start.", service.Name, set.Name),
		Remedy:  fmt.Sprintf(`%s patch service %s -p '{"spec":{"publishNotReadyAddresses":true}}'`, policies.Kubectl(service), service.Name),
	}}, nil
}
