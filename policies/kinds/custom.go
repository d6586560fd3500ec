package kinds

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Custom is a custom resource of any kind.
type Custom struct {
	unstructured.Unstructured
	// Resource is its kind's name in URLs, where that is known.
	Resource string
}

// DeepCopyObject returns a copy.
func (c *Custom) DeepCopyObject() runtime.Object { return &Custom{*c.DeepCopy(), c.Resource} }

// Definition is the name of its CustomResourceDefinition.
func (c *Custom) Definition() string { return c.Resource + "." + c.GroupVersionKind().Group }

// IsCustom tells whether an API group is of custom resources: built-in groups have no dot or end in .k8s.io, which the Kubernetes
// project keeps for itself.
func IsCustom(group string) bool {
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}
