package kinds

import (
	"encoding/json"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Advanced is OpenKruise's Advanced StatefulSet. In every version it has the fields of a StatefulSet and more. Readers read it as a
// custom resource, and rules judge the StatefulSet that Judged returns.
var Advanced = &Kind{
	GroupVersionKind: schema.GroupVersionKind{Group: "apps.kruise.io", Version: "v1beta1", Kind: StatefulSet.Kind},
	Resource:         StatefulSet.Resource, Namespaced: true, Verbs: []string{"get", "list"},
	object: reflect.TypeFor[*Custom](), list: reflect.TypeFor[unstructured.UnstructuredList](),
}

// reserves is an annotation that Judged sets for an Advanced StatefulSet with reserved ordinals. It is never stored.
const reserves = "mooring.dev/reserves-ordinals"

// Judged returns the object that rules judge: for an Advanced StatefulSet a StatefulSet with that kind, for others the object
// itself. The error means that a field has another type than in a StatefulSet.
func Judged(o Object) (Object, error) {
	custom, ok := o.(*Custom)
	if !ok || custom.GroupVersionKind().GroupKind() != Advanced.GroupKind() {
		return o, nil
	}
	text, err := json.Marshal(custom.Object)
	if err != nil {
		return o, err
	}
	set := &appsv1.StatefulSet{}
	if _, err := Decode(text, set); err != nil {
		return o, err
	}
	set.SetGroupVersionKind(Advanced.GroupVersionKind)
	delete(set.Annotations, reserves)
	reserved, _, _ := unstructured.NestedFieldNoCopy(custom.Object, "spec", "reserveOrdinals")
	if list, _ := reserved.([]any); len(list) > 0 {
		metav1.SetMetaDataAnnotation(&set.ObjectMeta, reserves, "true")
	}
	Normalise(set)
	return set, nil
}

// IsAdvanced reports whether a StatefulSet was converted from an Advanced one.
func IsAdvanced(o Object) bool {
	return o.GetObjectKind().GroupVersionKind().GroupKind() == Advanced.GroupKind()
}

// ReservesOrdinals reports whether an Advanced StatefulSet skips ordinals, so that its replicas do not show which it has.
func ReservesOrdinals(o Object) bool { return IsAdvanced(o) && o.GetAnnotations()[reserves] != "" }
