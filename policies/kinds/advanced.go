package kinds

import (
	"encoding/json"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Advanced is OpenKruise's Advanced StatefulSet, which a cluster may have. Its fields are those of a StatefulSet and more, in each of
// its versions. Readers read it as the custom resource that it is, and rules judge the StatefulSet that Judged makes of it.
var Advanced = &Kind{
	GroupVersionKind: schema.GroupVersionKind{Group: "apps.kruise.io", Version: "v1beta1", Kind: StatefulSet.Kind},
	Resource:         StatefulSet.Resource, Namespaced: true, Verbs: []string{"get", "list"},
	object: reflect.TypeFor[*Custom](), list: reflect.TypeFor[unstructured.UnstructuredList](),
}

// reserves is the annotation by which a StatefulSet is known that was an Advanced one with reserved ordinals. Nobody stores it.
const reserves = "mooring.dev/reserves-ordinals"

// Judged returns what rules judge in the object's place: for an Advanced StatefulSet a StatefulSet of that kind, for others the object
// itself. The error says that a field has another type than in a StatefulSet.
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

// IsAdvanced tells whether a StatefulSet was an Advanced one.
func IsAdvanced(o Object) bool {
	return o.GetObjectKind().GroupVersionKind().GroupKind() == Advanced.GroupKind()
}

// ReservesOrdinals tells whether an Advanced StatefulSet has no Pods of some ordinals between others, so that its replicas do not say
// which it has.
func ReservesOrdinals(o Object) bool { return IsAdvanced(o) && o.GetAnnotations()[reserves] != "" }
