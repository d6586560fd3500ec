package kinds

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Advanced is OpenKruise's Advanced StatefulSet. Its fields are those of a StatefulSet and more, in each of its versions.
var Advanced = schema.GroupKind{Group: "apps.kruise.io", Kind: "StatefulSet"}

// StatefulSet returns an Advanced StatefulSet as a StatefulSet, without the fields that only it has. It reserves ordinals where it
// has no Pods of some ordinals between others, so that its replicas do not say which it has.
func (c *Custom) StatefulSet() (set *appsv1.StatefulSet, reserves bool, err error) {
	set = &appsv1.StatefulSet{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(c.Object, set); err != nil {
		return nil, false, err
	}
	reserved, _, _ := unstructured.NestedFieldNoCopy(c.Object, "spec", "reserveOrdinals")
	list, _ := reserved.([]any)
	return set, len(list) > 0, nil
}
