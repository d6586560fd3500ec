// Package audit judges what is in a cluster, or what a recorded audit log says was asked of one, by the rules of
// package policies. It changes nothing, save for the reports that the scanner keeps in the cluster.
//
// walk.go is the place to start reading.
package audit

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Scheme holds the kinds that an audit reads.
var Scheme = runtime.NewScheme()

func init() {
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme, storagev1.AddToScheme, v1alpha1.AddToScheme,
	} {
		utilruntime.Must(add(Scheme))
	}
}

// kind is one kind of object that an audit reads.
type kind struct {
	schema.GroupVersionKind
	// resource is its name in a URL and in a role.
	resource string
	list     func() client.ObjectList
	object   func() client.Object
}

var (
	statefulSets = kind{appsv1.SchemeGroupVersion.WithKind("StatefulSet"), "statefulsets",
		func() client.ObjectList { return &appsv1.StatefulSetList{} }, func() client.Object { return &appsv1.StatefulSet{} }}
	claims = kind{corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), "persistentvolumeclaims",
		func() client.ObjectList { return &corev1.PersistentVolumeClaimList{} }, func() client.Object { return &corev1.PersistentVolumeClaim{} }}
	services = kind{corev1.SchemeGroupVersion.WithKind("Service"), "services",
		func() client.ObjectList { return &corev1.ServiceList{} }, func() client.Object { return &corev1.Service{} }}
	budgets = kind{policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), "poddisruptionbudgets",
		func() client.ObjectList { return &policyv1.PodDisruptionBudgetList{} }, func() client.Object { return &policyv1.PodDisruptionBudget{} }}
	autoscalers = kind{autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), "horizontalpodautoscalers",
		func() client.ObjectList { return &autoscalingv2.HorizontalPodAutoscalerList{} }, func() client.Object { return &autoscalingv2.HorizontalPodAutoscaler{} }}
	deployments = kind{appsv1.SchemeGroupVersion.WithKind("Deployment"), "deployments",
		func() client.ObjectList { return &appsv1.DeploymentList{} }, func() client.Object { return &appsv1.Deployment{} }}
	pods = kind{corev1.SchemeGroupVersion.WithKind("Pod"), "pods",
		func() client.ObjectList { return &corev1.PodList{} }, func() client.Object { return &corev1.Pod{} }}
	namespaces = kind{corev1.SchemeGroupVersion.WithKind("Namespace"), "namespaces",
		func() client.ObjectList { return &corev1.NamespaceList{} }, func() client.Object { return &corev1.Namespace{} }}
	classes = kind{storagev1.SchemeGroupVersion.WithKind("StorageClass"), "storageclasses",
		func() client.ObjectList { return &storagev1.StorageClassList{} }, func() client.Object { return &storagev1.StorageClass{} }}
	volumes = kind{corev1.SchemeGroupVersion.WithKind("PersistentVolume"), "persistentvolumes",
		func() client.ObjectList { return &corev1.PersistentVolumeList{} }, func() client.Object { return &corev1.PersistentVolume{} }}
)

// inNamespaces are the kinds of which all objects are read, namespace by namespace. Pods are read only where they tell
// something that nothing else does: see view.pods.
var inNamespaces = []kind{statefulSets, claims, services, budgets, autoscalers, deployments}

// objects returns the objects of a list of the kind, their TypeMeta set, which a list leaves out.
func (k kind) objects(list client.ObjectList) ([]policies.Object, error) {
	all := make([]policies.Object, 0, meta.LenList(list))
	err := meta.EachListItem(list, func(item runtime.Object) error {
		o, ok := item.(policies.Object)
		if !ok {
			return fmt.Errorf("%T is no object", item)
		}
		o.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
		all = append(all, o)
		return nil
	})
	return all, err
}

// refusal says what a read that was forbidden needs, in words that can be pasted into a role.
func (k kind) refusal(namespace string, err error) string {
	verb := "list"
	if strings.Contains(err.Error(), "cannot get resource") {
		verb = "get"
	}
	where := "in the whole cluster"
	if namespace != "" {
		where = "in namespace " + namespace
	}
	return fmt.Sprintf("cannot %s %s %s, so that nothing which depends on them is judged. Bind the ClusterRole mooring-audit, or add this rule to a role: "+
		"{apiGroups: [%q], resources: [%s], verbs: [%s]}. The API server says: %s",
		verb, k.resource, where, k.Group, k.resource, verb, strings.TrimSpace(err.Error()))
}
