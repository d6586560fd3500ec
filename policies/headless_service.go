package policies

import (
	"errors"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var headlessService = Rule{
	ID:    "headless-service",
	Block: "headlessService",
	Title: "A StatefulSet's Pods have DNS names of their own",
	Doc: `A Pod of a StatefulSet is reached by its peers as pod.service.namespace.svc, and that name exists only while
spec.serviceName names a headless Service (clusterIP: None) of the same namespace whose selector selects the Pods. The
API server checks none of this, and serviceName can never be changed afterwards. The other way round, a Service that a
StatefulSet relies on must not be deleted, or turned away from its Pods, under it.`,
	Severity: High,
	On: []Trigger{
		{"StatefulSet", []admissionv1.Operation{admissionv1.Create, admissionv1.Update}},
		{"Service", []admissionv1.Operation{admissionv1.Update, admissionv1.Delete}},
	},
	Checks: []Check{
		{"unnamed", "the StatefulSet names no Service; it cannot be added later"},
		{"missing", "the Service does not exist (a dry run is only warned: the Service may be applied next)"},
		{"external-name", "the Service is an ExternalName"},
		{"not-headless", "the Service has a cluster IP"},
		{"selector", "the Service does not select the Pods"},
		{"in-use", "the Service is deleted while a StatefulSet relies on it"},
	},
	blocks: typed(logic[v1alpha1.HeadlessService]{
		params: func(r *v1alpha1.Rules) *v1alpha1.HeadlessService { return r.HeadlessService },
		object: governedByHeadlessService,
		change: keepsGoverningService,
	}),
	Cases: []Case{
		{Name: "headless and selecting the Pods", New: `kind: StatefulSet`},
		{Name: "no serviceName", New: `{kind: StatefulSet, spec: {serviceName: null}}`, Want: []string{"unnamed"}},
		{Name: "Service does not exist", New: `kind: StatefulSet`, WithoutService: true, Want: []string{"missing"}},
		{
			Name: "Service does not exist yet, in a dry run", New: `kind: StatefulSet`, WithoutService: true, DryRun: true,
			Want: []string{"missing:Warn"},
		},
		{
			Name: "Service does not exist yet, and the policy puts up with it", Policy: "action: Deny, missing: Warn",
			New: `kind: StatefulSet`, WithoutService: true, Want: []string{"missing:Warn"},
		},
		{
			Name: "Service with a cluster IP", WithoutService: true,
			New: `kind: StatefulSet`, Given: []string{`{kind: Service, spec: {clusterIP: 10.0.0.10}}`},
			Want: []string{"not-headless"},
		},
		{
			Name: "ExternalName Service", WithoutService: true,
			New: `kind: StatefulSet`,
			Given: []string{
				`{kind: Service, spec: {type: ExternalName, externalName: db.example.com, clusterIP: null, selector: null, ports: null}}`,
			},
			Want: []string{"external-name"},
		},
		{
			Name: "Service that selects other Pods", WithoutService: true,
			New: `kind: StatefulSet`, Given: []string{`{kind: Service, spec: {selector: {app: web}}}`},
			Want: []string{"selector"},
		},
		{
			Name: "an update of a StatefulSet that was wrong before", WithoutService: true,
			Old:  `kind: StatefulSet`,
			New:  `{kind: StatefulSet, spec: {template: {spec: {terminationGracePeriodSeconds: 60}}}}`,
			Want: []string{"missing:Warn"},
		},
		{
			Name: "deleting the Service of a running StatefulSet",
			Old:  `kind: Service`, Given: []string{`kind: StatefulSet`}, Want: []string{"in-use"},
		},
		{Name: "deleting a Service that nothing relies on", Old: `kind: Service`},
		{
			Name: "deleting the Service of a StatefulSet scaled to zero",
			Old:  `kind: Service`, Given: []string{`{kind: StatefulSet, spec: {replicas: 0}}`},
		},
		{
			Name: "turning the Service away from the Pods",
			Old:  `kind: Service`, New: `{kind: Service, spec: {selector: {app: web}}}`,
			Given: []string{`kind: StatefulSet`}, Want: []string{"selector"},
		},
		{
			Name: "adding a port to the Service",
			Old:  `kind: Service`, New: `{kind: Service, spec: {ports: [{name: metrics, port: 9090}]}}`,
			Given: []string{`kind: StatefulSet`},
		},
	},
}

func governedByHeadlessService(o Object, c Cluster, p v1alpha1.HeadlessService) ([]Finding, error) {
	set, ok := o.(*appsv1.StatefulSet)
	if !ok {
		return nil, nil
	}
	name := set.Spec.ServiceName
	if name == "" {
		return []Finding{{
			Check: "unnamed", Path: "spec.serviceName",
			Message: fmt.Sprintf("StatefulSet %s names no Service, so its Pods get no DNS names of their own, and serviceName cannot be added later.", set.Name),
			Remedy:  fmt.Sprintf("set spec.serviceName to a headless Service, such as %s.", set.Name),
		}}, nil
	}
	service, err := c.Service(set.Namespace, name)
	if apierrors.IsNotFound(err) || errors.Is(err, ErrUnknown) {
		f := Finding{
			Check: "missing", Path: "spec.serviceName", Action: p.Missing, Pending: true,
			Message: fmt.Sprintf("Service %s, which gives the Pods of StatefulSet %s their DNS names, does not exist%s.", name, set.Name, inNamespace(set)),
			Remedy:  createService(set),
		}
		if errors.Is(err, ErrUnknown) {
			f.Unknown = true
			f.Message = fmt.Sprintf("Service %s, which gives the Pods of StatefulSet %s their DNS names, is not among the files.", name, set.Name)
		}
		return []Finding{f}, nil
	}
	if err != nil {
		return nil, err
	}
	found := whyNotGoverning(service, set)
	for i := range found {
		found[i].Path = "spec.serviceName"
	}
	return found, nil
}

// whyNotGoverning says what keeps the Service from naming the StatefulSet's Pods. The paths are the Service's.
func whyNotGoverning(service *corev1.Service, set *appsv1.StatefulSet) []Finding {
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return []Finding{{
			Check: "external-name", Path: "spec.type",
			Message: fmt.Sprintf("Service %s is an ExternalName for %s; it gives the Pods of StatefulSet %s no DNS names.", service.Name, service.Spec.ExternalName, set.Name),
			Remedy:  "name a headless Service (clusterIP: None) that selects the Pods.",
		}}
	}
	var found []Finding
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		found = append(found, Finding{
			Check: "not-headless", Path: "spec.clusterIP",
			Message: fmt.Sprintf("Service %s is not headless, so the Pods of StatefulSet %s get no DNS names of their own.", service.Name, set.Name),
			Remedy:  fmt.Sprintf("create a second Service with clusterIP: None for spec.serviceName and keep %s for its clients.", service.Name),
		})
	}
	template := labels.Set(set.Spec.Template.Labels)
	if len(service.Spec.Selector) == 0 || !labels.SelectorFromSet(service.Spec.Selector).Matches(template) {
		found = append(found, Finding{
			Check: "selector", Path: "spec.selector",
			Message: fmt.Sprintf("Service %s selects %s, and the Pods of StatefulSet %s are labelled %s: they get no DNS names.",
				service.Name, orNothing(service.Spec.Selector), set.Name, orNothing(template)),
			Remedy: fmt.Sprintf("%s set selector service %s '%s'", kubectl(service), service.Name, matchLabels(set)),
		})
	}
	return found
}

// keepsGoverningService guards the Service for the StatefulSets that rely on it.
func keepsGoverningService(ch Change, c Cluster, _ v1alpha1.HeadlessService) ([]Finding, error) {
	older, ok := ch.Old.(*corev1.Service)
	if !ok {
		return nil, nil
	}
	sets, err := c.StatefulSets(older.Namespace)
	var found []Finding
	for _, set := range sets {
		if set.Spec.ServiceName != older.Name || set.DeletionTimestamp != nil || rangeOf(set).count() == 0 {
			continue
		}
		newer, ok := ch.New.(*corev1.Service)
		if !ok {
			found = append(found, Finding{
				Check: "in-use", Path: "metadata.name",
				Message: fmt.Sprintf("StatefulSet %s relies on Service %s: without it its %s lose their DNS names and cannot find each other.",
					set.Name, older.Name, plural(rangeOf(set).count(), "Pod")),
				Remedy: fmt.Sprintf("leave the Service; if StatefulSet %s is to go as well, delete that first, and the Service then.", set.Name),
			})
			continue
		}
		before := whyNotGoverning(older, set)
		for _, f := range whyNotGoverning(newer, set) {
			f.Standing = slices.ContainsFunc(before, func(b Finding) bool { return b.Check == f.Check })
			found = append(found, f)
		}
	}
	return found, err
}

// createService is the command that makes the headless Service a StatefulSet names. kubectl gives it the selector
// app=name, which is corrected where the Pods are labelled otherwise.
func createService(set *appsv1.StatefulSet) string {
	name, selector := set.Spec.ServiceName, matchLabels(set)
	command := fmt.Sprintf("%s create service clusterip %s --clusterip=None", kubectl(set), name)
	if selector.String() != "app="+name {
		command += fmt.Sprintf(" && %s set selector service %s '%s'", kubectl(set), name, selector)
	}
	return command
}

// matchLabels are the labels that the StatefulSet selects its Pods by; a file's may have no selector.
func matchLabels(set *appsv1.StatefulSet) labels.Set {
	return value(set.Spec.Selector).MatchLabels
}

func orNothing(l labels.Set) string {
	if len(l) == 0 {
		return "nothing"
	}
	return l.String()
}
