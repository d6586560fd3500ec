// Package audit judges what is in a cluster by the rules of package policies. It changes nothing, save for the reports that the
// scanner keeps in the cluster.
//
// walk.go is the place to start reading.
package audit

import (
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
// that nothing else does: see view.pods.
var inNamespaces = slices.DeleteFunc(slices.Clone(kinds.All), func(k *kinds.Kind) bool { return !k.Namespaced || k.Live })

// refusal says what a read that was forbidden needs, in words that can be pasted into a role.
func refusal(verb string, resource schema.GroupResource, namespace string, err error) string {
	where := "in the whole cluster"
	if namespace != "" {
		where = "in namespace " + namespace
	}
	return fmt.Sprintf("cannot %s %s %s, so that nothing which depends on them is judged. Bind the ClusterRole mooring-audit, or add this rule to a role: "+
		"{apiGroups: [%q], resources: [%s], verbs: [%s]}. The API server says: %s",
		verb, resource.Resource, where, resource.Group, resource.Resource, verb, apierrors.ReasonForError(err))
}
