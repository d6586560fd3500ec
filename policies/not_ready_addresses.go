package policies

import (
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var notReadyAddresses = Rule{
	ID:    "not-ready-addresses",
	Block: "notReadyAddresses",
	Title: "Members find each other before they are ready",
	Doc: `A headless Service gives a Pod its DNS name once the Pod is ready. Members that have to find each other to become ready,
as those of most databases do, wait for ever, unless the Service has publishNotReadyAddresses. It matters where there is
more than one member and a readiness probe: the members of a StatefulSet that has none are ready at once.`,
	Severity: Low,
	On:       []Trigger{{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}}},
	Checks:   []Check{{"hidden", "the governing Service gives Pods no DNS names until they are ready"}},
	blocks: typed(logic[v1alpha1.NotReadyAddresses]{
		params: func(r *v1alpha1.Rules) *v1alpha1.NotReadyAddresses { return r.NotReadyAddresses },
		object: publishesNotReadyAddresses,
	}),
	Cases: []Case{
		{
			Name: "the Service publishes them", WithoutService: true, Given: []string{`{kind: Service, spec: {publishNotReadyAddresses: true}}`},
			New: `{kind: StatefulSet, spec: {template: {spec: {containers: [{name: db, readinessProbe: {tcpSocket: {port: 5432}}}]}}}}`,
		},
		{Name: "Pods that are ready at once", New: `kind: StatefulSet`},
		{
			Name: "members that wait for each other",
			New:  `{kind: StatefulSet, spec: {template: {spec: {containers: [{name: db, readinessProbe: {tcpSocket: {port: 5432}}}]}}}}`,
			Want: []string{"hidden"},
		},
	},
}

func publishesNotReadyAddresses(o Object, c Cluster, _ v1alpha1.NotReadyAddresses) ([]Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if rangeOf(set).count() < 2 || !probesReadiness(set) || set.Spec.ServiceName == "" {
		return nil, nil
	}
	service, err := c.Service(set.Namespace, set.Spec.ServiceName)
	if apierrors.IsNotFound(err) || errors.Is(err, ErrUnknown) {
		// headless-service has said so.
		return nil, nil
	}
	if err != nil || service.Spec.PublishNotReadyAddresses {
		return nil, err
	}
	return []Finding{{
		Check: "hidden", Path: "spec.serviceName",
		Message: fmt.Sprintf("Service %s gives the Pods of StatefulSet %s no DNS names until they are ready; members that need each other to get ready wait for ever.", service.Name, set.Name),
		Remedy:  fmt.Sprintf(`%s patch service %s -p '{"spec":{"publishNotReadyAddresses":true}}'`, kubectl(service), service.Name),
	}}, nil
}
