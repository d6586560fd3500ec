package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var headlessService = policies.Rule{
	ID:    "headless-service",
	Title: "Each Pod of a StatefulSet has a DNS name",
	Doc: `Peers reach a Pod of a StatefulSet as pod.service.namespace.svc. This name exists only while spec.serviceName
names a headless Service (clusterIP: None) in the same namespace whose selector selects the Pods. The API server checks none
of this, and serviceName is immutable. This rule also protects a Service that a StatefulSet needs: you cannot delete it or
change it so that it no longer selects the Pods. A Helm release may delete both together. If a Service has no selector,
somebody else writes its endpoints, as Patroni does; then the rule only warns.`,
	Severity: policies.High,
	On: []policies.Trigger{
		policies.On(kinds.StatefulSet, create, update),
		policies.On(kinds.Service, update, remove),
	},
	Checks: []policies.Check{
		{Name: "unnamed", Doc: "the StatefulSet has no serviceName, which cannot be added later"},
		{Name: "missing", Doc: "the Service does not exist (a warning in a dry run, because the Service may be applied next)"},
		{Name: "external-name", Doc: "the Service is an ExternalName"},
		{Name: "not-headless", Doc: "the Service has a cluster IP"},
		{Name: "selector", Doc: "the Service does not select the Pods"},
		{Name: "taken-back", Doc: "the Service loses ports, or the DNS names of Pods that are not ready (at most a warning)"},
		{Name: "in-use", Doc: "the Service is deleted while a StatefulSet needs it"},
	},
	Logic: policies.Typed[v1alpha1.HeadlessService]{
		Block: func(r *v1alpha1.Rules) **v1alpha1.HeadlessService { return &r.HeadlessService },
		// Helm deletes Services first, and applying the Service again restores the names.
		Baseline:   &v1alpha1.HeadlessService{Enforcement: deny, InUse: v1alpha1.Warn},
		Restricted: &v1alpha1.HeadlessService{Enforcement: deny},
		Object:     governedByHeadlessService,
		Change:     keepsGoverningService,
	},
}

func governedByHeadlessService(o kinds.Object, c policies.Cluster, p v1alpha1.HeadlessService) ([]policies.Finding, error) {
	set, ok := o.(*appsv1.StatefulSet)
	if !ok {
		return nil, nil
	}
	name := set.Spec.ServiceName
	if name == "" {
		return []policies.Finding{{
			Check: "unnamed", Path: "spec.serviceName",
			Message: fmt.Sprintf("StatefulSet %s has no serviceName, so its Pods get no DNS names, and serviceName cannot be added later.", set.Name),
			Remedy:  fmt.Sprintf("set spec.serviceName to a headless Service, such as %s.", set.Name),
		}}, nil
	}
	where := "namespace " + set.Namespace
	if set.Namespace == "" {
		where = "its namespace"
	}
	service, known, err := policies.Get[*corev1.Service](c, set.Namespace, name)
	if err != nil {
		return nil, err
	}
	if service == nil {
		f := policies.Finding{
			Check: "missing", Path: "spec.serviceName", Action: p.Missing, Pending: true,
			Message: fmt.Sprintf("Service %s, which gives the Pods of StatefulSet %s their DNS names, does not exist in %s.", name, set.Name, where),
			Fix:     addService(set),
		}
		if !known {
			f.Unknown = true
			f.Message = fmt.Sprintf("Service %s, which gives the Pods of StatefulSet %s their DNS names, is not in the files.", name, set.Name)
		}
		return []policies.Finding{f}, nil
	}
	found := whyNotGoverning(service, set)
	for i := range found {
		found[i].Path = "spec.serviceName"
	}
	return found, nil
}

// whyNotGoverning says why the Service cannot give the StatefulSet's Pods their names. Paths are in the Service.
func whyNotGoverning(service *corev1.Service, set *appsv1.StatefulSet) []policies.Finding {
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return []policies.Finding{{
			Check: "external-name", Path: "spec.type",
			Message: fmt.Sprintf("Service %s is an ExternalName for %s; it gives the Pods of StatefulSet %s no DNS names.", service.Name, service.Spec.ExternalName, set.Name),
			Remedy:  "name a headless Service (clusterIP: None) that selects the Pods.",
		}}
	}
	var found []policies.Finding
	elsewhere := len(service.Spec.Selector) == 0
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		found = append(found, policies.Finding{
			Check: "not-headless", Path: "spec.clusterIP", Unknown: elsewhere,
			Message: fmt.Sprintf("Service %s is not headless, so the Pods of StatefulSet %s get no DNS names.", service.Name, set.Name),
			Remedy:  fmt.Sprintf("create a second Service with clusterIP: None for spec.serviceName and keep %s for its clients.", service.Name),
			Fix:     makeHeadless(service, set),
		})
	}
	switch template := set.Spec.Template.Labels; {
	case elsewhere && found != nil:
		// An operator points the Service at the leader, and its members find each other without DNS.
	case elsewhere:
		found = append(found, policies.Finding{
			Check: "selector", Path: "spec.selector", Unknown: true,
			Message: fmt.Sprintf("Service %s has no selector, so whether the Pods of StatefulSet %s get DNS names depends on who writes its endpoints.", service.Name, set.Name),
			Remedy:  "if nobody writes them: " + policies.SelectorCommand(service, selectable(set)),
		})
	case !statefulset.Selects(&metav1.LabelSelector{MatchLabels: service.Spec.Selector}, template):
		found = append(found, policies.Finding{
			Check: "selector", Path: "spec.selector",
			Message: fmt.Sprintf("Service %s selects %s, but the Pods of StatefulSet %s have the labels %s: they get no DNS names.",
				service.Name, orNothing(service.Spec.Selector), set.Name, orNothing(template)),
			Remedy: policies.SelectorCommand(service, selectable(set)),
		})
	}
	return found
}

// keepsGoverningService judges a change to a Service that StatefulSets rely on.
func keepsGoverningService(ch policies.Change, c policies.Cluster, p v1alpha1.HeadlessService) ([]policies.Finding, error) {
	older, ok := ch.Old.(*corev1.Service)
	if !ok {
		return startsWithService(ch, c, p)
	}
	if ch.New == nil {
		if decided, err := ch.Decided(c); decided || err != nil {
			return nil, err
		}
	}
	sets, err := policies.GovernedBy(older, c)
	var found []policies.Finding
	for _, set := range sets {
		newer, ok := ch.New.(*corev1.Service)
		if !ok {
			if sameRelease(older, set) {
				// Helm deletes the Service first, then the StatefulSet in the same command.
				continue
			}
			found = append(found, policies.Finding{
				Check: "in-use", Action: p.InUse, Path: "metadata.name",
				Message: fmt.Sprintf("StatefulSet %s needs Service %s, which gives its Pods their DNS names.", set.Name, older.Name),
				Remedy:  fmt.Sprintf("keep the Service, or delete StatefulSet %s first.", set.Name),
			})
			continue
		}
		if lost := takenBack(older, newer); lost != "" {
			found = append(found, policies.Finding{
				Check: "taken-back", Action: p.Action.AtMost(v1alpha1.Warn), Path: "spec",
				Message: fmt.Sprintf("Service %s of StatefulSet %s %s: peers that rely on it cannot find each other.", older.Name, set.Name, lost),
				Remedy:  "if members find each other in this way, undo the change.",
			})
		}
		before := whyNotGoverning(older, set)
		for _, f := range whyNotGoverning(newer, set) {
			f.Standing = slices.ContainsFunc(before, func(b policies.Finding) bool { return b.Check == f.Check })
			found = append(found, f)
		}
	}
	return found, err
}

// startsWithService warns if the Service was deleted while the StatefulSet had no replicas. A scale request gets no other findings
// about the StatefulSet.
func startsWithService(ch policies.Change, c policies.Cluster, p v1alpha1.HeadlessService) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || !ch.Scale || statefulset.OrdinalsOf(older).Count() > 0 || statefulset.OrdinalsOf(newer).Count() == 0 {
		return nil, nil
	}
	found, err := governedByHeadlessService(newer, c, p)
	found = slices.DeleteFunc(found, func(f policies.Finding) bool { return f.Check != "missing" })
	for i := range found {
		found[i].Action = p.Action.AtMost(v1alpha1.Warn)
	}
	return found, err
}

// takenBack names the DNS records that the Service loses.
func takenBack(older, newer *corev1.Service) string {
	if older.Spec.PublishNotReadyAddresses && !newer.Spec.PublishNotReadyAddresses {
		return "no longer has DNS names for Pods that are not ready"
	}
	for _, port := range older.Spec.Ports {
		if port.Name != "" && !slices.ContainsFunc(newer.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port.Name }) {
			return fmt.Sprintf("no longer has port %s and its SRV records", port.Name)
		}
	}
	return ""
}

// sameRelease reports whether the same Helm release installed both.
func sameRelease(a, b kinds.Object) bool {
	const name, namespace = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
	one, other := a.GetAnnotations(), b.GetAnnotations()
	return a.GetLabels()[managedBy] == "Helm" && b.GetLabels()[managedBy] == "Helm" &&
		one[name] != "" && one[name] == other[name] && one[namespace] == other[namespace]
}

const managedBy = "app.kubernetes.io/managed-by"

// addService returns the fix that adds the headless Service, which names the Pods, ready or not.
func addService(set *appsv1.StatefulSet) *policies.Fix {
	service := kinds.Service.New().(*corev1.Service)
	service.Name, service.Namespace = set.Spec.ServiceName, set.Namespace
	service.Spec = corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true, Selector: selectable(set), Ports: portsOf(set.Spec.Template.Spec.Containers),
	}
	fix := &policies.Fix{Object: service, Add: true}
	if len(service.Spec.Selector) == 0 {
		fix.Undecided = fmt.Sprintf("its Pods have no labels that Service %s could select", service.Name)
	}
	return fix
}

// portsOf returns the ports that containers declare, without duplicates. If there are several, each needs a name.
func portsOf(containers []corev1.Container) []corev1.ServicePort {
	var ports []corev1.ServicePort
	type number struct {
		corev1.Protocol
		int32
	}
	numbers, names := map[number]bool{}, map[string]bool{}
	for _, c := range containers {
		for _, p := range c.Ports {
			n := number{cmp.Or(p.Protocol, corev1.ProtocolTCP), p.ContainerPort}
			if numbers[n] {
				continue
			}
			numbers[n] = true
			port := corev1.ServicePort{Name: p.Name, Port: p.ContainerPort}
			if n.Protocol != corev1.ProtocolTCP {
				port.Protocol = n.Protocol
			}
			if port.Name == "" || names[port.Name] {
				port.Name = strings.ToLower(fmt.Sprintf("%s-%d", n.Protocol, p.ContainerPort))
			}
			names[port.Name] = true
			ports = append(ports, port)
		}
	}
	return ports
}

// makeHeadless returns the fix for a Service that never got a cluster IP.
func makeHeadless(service *corev1.Service, set *appsv1.StatefulSet) *policies.Fix {
	fix := &policies.Fix{
		Object: service, FilesOnly: true, Set: []policies.Setting{{Path: "spec.clusterIP", Value: corev1.ClusterIPNone}},
	}
	why := ""
	switch {
	case service.Spec.Type != corev1.ServiceTypeClusterIP:
		why = fmt.Sprintf("it is a %s, which cannot be headless", service.Spec.Type)
	case service.Spec.ClusterIP != "":
		why = fmt.Sprintf("it has the cluster IP %s, which clients may use", service.Spec.ClusterIP)
	}
	if why != "" {
		fix.Undecided = fmt.Sprintf("%s: give StatefulSet %s a second Service with clusterIP: None", why, set.Name)
	}
	return fix
}

// selectable returns the labels with which a Service can select the StatefulSet's Pods: the StatefulSet's matchLabels or, without
// those, all labels of the template.
func selectable(set *appsv1.StatefulSet) labels.Set {
	if match := ptr.Deref(set.Spec.Selector, metav1.LabelSelector{}).MatchLabels; len(match) > 0 {
		return match
	}
	return set.Spec.Template.Labels
}

func orNothing(l labels.Set) string {
	if len(l) == 0 {
		return "nothing"
	}
	return l.String()
}
