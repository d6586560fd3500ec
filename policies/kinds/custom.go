package kinds

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Custom is a custom resource of any kind.
type Custom struct {
	unstructured.Unstructured
	// Resource is the kind's name in URLs, if known.
	Resource string
}

// DeepCopyObject returns a copy.
func (c *Custom) DeepCopyObject() runtime.Object { return &Custom{*c.DeepCopy(), c.Resource} }

// Definition returns the name of its CustomResourceDefinition.
func (c *Custom) Definition() string { return c.Resource + "." + c.GroupVersionKind().Group }

// IsCustom reports whether an API group has custom resources. Built-in groups have no dot or end in .k8s.io, which is reserved for
// the Kubernetes project.
func IsCustom(group string) bool {
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}
