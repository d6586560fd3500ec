// Package audit judges what is in a cluster by the rules of package policies. It changes nothing, save for the reports that the
// scanner keeps in the cluster.
//
// walk.go is the place to start reading.
package audit

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Scheme holds the kinds that an audit reads.
var Scheme = runtime.NewScheme()

func init() {
	kinds.AddToScheme(Scheme)
	utilruntime.Must(v1alpha1.AddToScheme(Scheme))
}

// inNamespaces are the kinds of which all objects are read, namespace by namespace. Pods are read only where they tell something
// that nothing else does: see cluster.pods.
var inNamespaces = slices.DeleteFunc(slices.Clone(kinds.All), func(k *kinds.Kind) bool { return !k.Namespaced || k.Live })
