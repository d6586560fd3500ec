package manifests

import (
	"bytes"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// kind is one that rules read, or an autoscaler that is not Kubernetes' own. The fields that they read are the same in every version of its group.
type kind struct {
	group string
	new   func() policies.Object
	// hint is a word that a document of the kind must hold to be worth decoding.
	hint string
	// clusterScoped kinds have no namespace.
	clusterScoped bool
}

var kinds = map[string]kind{
	"StatefulSet":             {group: "apps", new: func() policies.Object { return &appsv1.StatefulSet{} }},
	"Deployment":              {group: "apps", new: func() policies.Object { return &appsv1.Deployment{} }, hint: "persistentVolumeClaim"},
	"Service":                 {new: func() policies.Object { return &corev1.Service{} }},
	"PersistentVolumeClaim":   {new: func() policies.Object { return &corev1.PersistentVolumeClaim{} }},
	"Namespace":               {new: func() policies.Object { return &corev1.Namespace{} }, clusterScoped: true},
	"PodDisruptionBudget":     {group: "policy", new: func() policies.Object { return &policyv1.PodDisruptionBudget{} }},
	"HorizontalPodAutoscaler": {group: "autoscaling", new: func() policies.Object { return &autoscalingv2.HorizontalPodAutoscaler{} }, hint: "StatefulSet"},
	"ScaledObject":            {group: "keda.sh", new: func() policies.Object { return &unstructured.Unstructured{} }, hint: "StatefulSet"},
	"StorageClass":            {group: "storage.k8s.io", new: func() policies.Object { return &storagev1.StorageClass{} }, clusterScoped: true},
	"StatefulPolicy":          {group: v1alpha1.GroupVersion.Group, new: func() policies.Object { return &v1alpha1.StatefulPolicy{} }, clusterScoped: true},
}

// lookUp returns the kind of that name in the group of apiVersion, if rules read it.
func lookUp(apiVersion, name string) (kind, bool) {
	k, ok := kinds[name]
	gv, err := schema.ParseGroupVersion(apiVersion)
	return k, ok && err == nil && gv.Group == k.group
}

// isList tells whether objects of the kind hold others.
func isList(name string) bool { return strings.HasSuffix(name, "List") }

// worthDecoding tells whether rules may read what a document of this text and kind holds.
func worthDecoding(text []byte, name string) bool {
	k, ok := kinds[name]
	return isList(name) || ok && bytes.Contains(text, []byte(k.hint))
}

// sniff reads the kind of a document off its lines, and whether that can be trusted: it is the one key of that name at the
// beginning of a line, and nothing else there could be another way to write it.
func sniff(text []byte) (name string, sure bool) {
	for line := range bytes.Lines(text) {
		switch {
		case bytes.HasPrefix(line, []byte("kind:")):
			value, _, _ := bytes.Cut(line[len("kind:"):], []byte(" #"))
			word := string(bytes.Trim(bytes.TrimSpace(value), `"'`))
			if sure || !isWord(word) {
				return "", false
			}
			name, sure = word, true
		case bytes.IndexByte([]byte(`"'?<{[!&*`), line[0]) >= 0:
			return "", false
		}
	}
	return name, sure
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') })
}

// scales returns the kind and the name of what the object scales, if it is an autoscaler.
func scales(o policies.Object) (kind, name string) {
	switch o := o.(type) {
	case *autoscalingv2.HorizontalPodAutoscaler:
		return o.Spec.ScaleTargetRef.Kind, o.Spec.ScaleTargetRef.Name
	case *unstructured.Unstructured:
		kind, _, _ = unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "kind")
		name, _, _ = unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
	}
	return kind, name
}

// gvkOf is what the rules take the object for: its kind in the version of the type it was decoded into.
func gvkOf(o policies.Object, apiVersion, name string) schema.GroupVersionKind {
	gvk := schema.FromAPIVersionAndKind(apiVersion, name)
	switch o.(type) {
	case *autoscalingv2.HorizontalPodAutoscaler:
		gvk.Version = "v2"
	case *v1alpha1.StatefulPolicy, *unstructured.Unstructured:
	default:
		gvk.Version = "v1"
	}
	return gvk
}
