// Package audit judges the objects of a live cluster with the rules of package policies. It changes nothing except the scanner's
// reports.
//
// Start reading in walk.go.
package audit

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Scheme has the kinds that an audit reads.
var Scheme = runtime.NewScheme()

func init() {
	kinds.AddToScheme(Scheme)
	utilruntime.Must(v1alpha1.AddToScheme(Scheme))
}

// inNamespaces are the kinds whose objects are all read, namespace by namespace. Pods are read only if needed: see cluster.pods.
var inNamespaces = slices.DeleteFunc(slices.Clone(kinds.All), func(k *kinds.Kind) bool { return !k.Namespaced || k.Live })
