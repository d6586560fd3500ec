package manifests

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// governingService is the headless Service that a StatefulSet names. It is there to name the Pods, ready or not.
func governingService(set *appsv1.StatefulSet) *corev1.Service {
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: set.Spec.ServiceName, Namespace: set.Namespace},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true, Selector: set.Spec.Template.Labels,
			Ports: portsOf(set.Spec.Template.Spec.Containers),
		},
	}
	if set.Spec.Selector != nil && len(set.Spec.Selector.MatchLabels) > 0 {
		service.Spec.Selector = set.Spec.Selector.MatchLabels
	}
	return service
}

// portsOf are the ports that containers say they listen on, each once. They need names where there are several.
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

// budgetFor lets one of a StatefulSet's Pods be away at a time.
func budgetFor(set *appsv1.StatefulSet) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: metav1.ObjectMeta{Name: set.Name, Namespace: set.Namespace},
		Spec:       policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: set.Spec.Selector},
	}
}

// documentOf writes an object in the style of the document that it comes after, and in a namespace only if that names one.
func documentOf(o kinds.Object, after *Document) ([]byte, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	delete(fields, "status")
	unstructured.RemoveNestedField(fields, "metadata", "creationTimestamp")
	if !after.Has("metadata.namespace") {
		unstructured.RemoveNestedField(fields, "metadata", "namespace")
	}
	if ports, ok, _ := unstructured.NestedSlice(fields, "spec", "ports"); ok {
		// That of a port which names none is the port itself; the type writes a zero.
		for _, port := range ports {
			delete(port.(map[string]any), "targetPort")
		}
		fields["spec"].(map[string]any)["ports"] = ports
	}
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(indentOf(after.parsed().root))
	if compact(after.parsed().root, nil) {
		e.CompactSeqIndent()
	}
	if err := e.Encode(fields); err != nil {
		return nil, err
	}
	return text.Bytes(), e.Close()
}

// indentOf is how many spaces a document's mappings are indented by. The first one below its root tells.
func indentOf(root *yaml.Node) int {
	for i := 1; i < len(root.Content); i += 2 {
		n := root.Content[i]
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 && n.Content[0].Column > 2 {
			return n.Content[0].Column - 1
		}
	}
	return 2
}

// compact tells whether the lists below a node stand under their keys, and not further in. One that does tells.
func compact(n, key *yaml.Node) bool {
	if n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle == 0 && key != nil {
		return n.Column == key.Column
	}
	for i, c := range n.Content {
		key = nil
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			key = n.Content[i-1]
		}
		if compact(c, key) {
			return true
		}
	}
	return false
}
