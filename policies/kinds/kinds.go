// Package kinds is the table of the kinds that Mooring knows. Every reader of objects (webhook caches and decoder, audit, replay,
// files) takes the kinds from here, with their defaults and the fields that rules read.
package kinds

import (
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/utils/ptr"
)

// Object is a typed Kubernetes object with its TypeMeta set.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind is a row of the table.
type Kind struct {
	schema.GroupVersionKind
	// Resource is the kind's name in URLs and roles.
	Resource string
	// Namespaced means that the kind's objects are in a namespace.
	Namespaced bool
	// Reads means that rules read objects of the kind around a change, and do not only judge them.
	Reads bool
	// Live means that objects are never read from a cache: there are too many, or they change too often.
	Live bool
	// Verbs are the verbs with which requests read the kind: from a watched cache and live or, if Live, live only.
	Verbs []string
	// Sealed means that the kind's objects are never read or recorded. Rules judge deletes of them by name.
	Sealed bool
	// Replaceable means that the user who deleted an object can create it again. Such deletes pass while Mooring is down.
	Replaceable bool
	// Subresources are those with which clients change fields that rules read.
	Subresources []string

	object, list reflect.Type
	normalise    func(Object)
	keeps        []string
	trim         trim
}

// The table. Each row ends with the fields that rules read; see trim.go.
var (
	StatefulSet = through(row[*appsv1.StatefulSet, appsv1.StatefulSetList](appsv1.SchemeGroupVersion, "statefulsets", normaliseStatefulSet,
		"spec.minReadySeconds", "spec.ordinals", "spec.persistentVolumeClaimRetentionPolicy", "spec.podManagementPolicy",
		"spec.replicas", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName", "spec.updateStrategy",
		"spec.template.metadata.labels",
		"spec.template.spec.affinity", "spec.template.spec.terminationGracePeriodSeconds", "spec.template.spec.topologySpreadConstraints",
		"spec.template.spec.imagePullSecrets", "spec.template.spec.priorityClassName", "spec.template.spec.serviceAccountName", "spec.template.spec.serviceAccount",
		"spec.template.spec.volumes.name", "spec.template.spec.volumes.persistentVolumeClaim",
		"spec.template.spec.volumes.secret.secretName", "spec.template.spec.volumes.secret.optional",
		"spec.template.spec.volumes.configMap.name", "spec.template.spec.volumes.configMap.optional",
		"spec.template.spec.volumes.projected.sources.secret", "spec.template.spec.volumes.projected.sources.configMap",
		"spec.template.spec.containers.env.valueFrom", "spec.template.spec.containers.envFrom",
		"spec.template.spec.initContainers.env.valueFrom", "spec.template.spec.initContainers.envFrom",
		"spec.template.spec.containers.image", "spec.template.spec.containers.name", "spec.template.spec.containers.ports",
		"spec.template.spec.containers.readinessProbe",
		"spec.template.spec.initContainers.image", "spec.template.spec.initContainers.name",
		"spec.template.spec.initContainers.readinessProbe", "spec.template.spec.initContainers.restartPolicy",
		"spec.template.spec.containers.volumeDevices.name", "spec.template.spec.containers.volumeMounts.name", "spec.template.spec.containers.volumeMounts.mountPath",
		"spec.template.spec.initContainers.volumeDevices.name", "spec.template.spec.initContainers.volumeMounts.name", "spec.template.spec.initContainers.volumeMounts.mountPath",
		"spec.volumeClaimTemplates",
		"status.currentRevision", "status.observedGeneration", "status.readyReplicas", "status.replicas",
		"status.updateRevision", "status.updatedReplicas"), "scale", "status")

	Deployment = judged(row[*appsv1.Deployment, appsv1.DeploymentList](appsv1.SchemeGroupVersion, "deployments",
		normaliseDeployment,
		"spec.replicas", "spec.strategy", "spec.template.spec.volumes.name", "spec.template.spec.volumes.persistentVolumeClaim"))

	Service = replaceable(row[*corev1.Service, corev1.ServiceList](corev1.SchemeGroupVersion, "services",
		func(s *corev1.Service) { setDefault(&s.Spec.Type, corev1.ServiceTypeClusterIP) },
		"spec.clusterIP", "spec.externalName", "spec.ports.name", "spec.publishNotReadyAddresses", "spec.selector", "spec.type"))

	PersistentVolumeClaim = through(row[*corev1.PersistentVolumeClaim, corev1.PersistentVolumeClaimList](corev1.SchemeGroupVersion, "persistentvolumeclaims", nil,
		"metadata.managedFields",
		"spec.accessModes", "spec.dataSourceRef", "spec.resources.requests", "spec.storageClassName", "spec.volumeMode", "spec.volumeName",
		"status.conditions", "status.phase"), "status")

	PersistentVolume = clusterScoped(live(row[*corev1.PersistentVolume, corev1.PersistentVolumeList](corev1.SchemeGroupVersion, "persistentvolumes", nil,
		"metadata.annotations", "spec.claimRef", "spec.persistentVolumeReclaimPolicy", "spec.storageClassName", "status.phase"), "get", "list"))

	StorageClass = clusterScoped(replaceable(row[*storagev1.StorageClass, storagev1.StorageClassList](storagev1.SchemeGroupVersion, "storageclasses",
		func(class *storagev1.StorageClass) {
			setDefault(&class.ReclaimPolicy, ptr.To(corev1.PersistentVolumeReclaimDelete))
		},
		"allowVolumeExpansion", "metadata.annotations", "reclaimPolicy")))

	PodDisruptionBudget = replaceable(row[*policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetList](policyv1.SchemeGroupVersion, "poddisruptionbudgets", nil,
		"spec.maxUnavailable", "spec.minAvailable", "spec.selector", "status.desiredHealthy", "status.expectedPods", "status.observedGeneration"))

	HorizontalPodAutoscaler = judged(row[*autoscalingv2.HorizontalPodAutoscaler, autoscalingv2.HorizontalPodAutoscalerList](autoscalingv2.SchemeGroupVersion, "horizontalpodautoscalers",
		func(h *autoscalingv2.HorizontalPodAutoscaler) { setDefault(&h.Spec.MinReplicas, ptr.To[int32](1)) },
		"spec.maxReplicas", "spec.minReplicas", "spec.scaleTargetRef"))

	Pod = replaceable(through(live(row[*corev1.Pod, corev1.PodList](corev1.SchemeGroupVersion, "pods", nil,
		"metadata.annotations",
		"spec.nodeName", "spec.restartPolicy", "spec.terminationGracePeriodSeconds", "spec.tolerations", "spec.volumes.name", "spec.volumes.persistentVolumeClaim",
		"status.conditions", "status.containerStatuses.state", "status.initContainerStatuses.state", "status.phase", "status.startTime"), "get", "list", "watch"), "status", "binding"))

	Namespace = through(clusterScoped(row[*corev1.Namespace, corev1.NamespaceList](corev1.SchemeGroupVersion, "namespaces",
		func(n *corev1.Namespace) { metav1.SetMetaDataLabel(&n.ObjectMeta, corev1.LabelMetadataName, n.Name) })), "finalize")

	Node = clusterScoped(replaceable(live(row[*corev1.Node, corev1.NodeList](corev1.SchemeGroupVersion, "nodes", nil,
		"spec.taints", "status.conditions"), "get")))

	VolumeAttachment = clusterScoped(replaceable(unread(row[*storagev1.VolumeAttachment, storagev1.VolumeAttachmentList](storagev1.SchemeGroupVersion, "volumeattachments", nil,
		"spec.nodeName", "spec.source.persistentVolumeName"))))

	ResourceQuota = unread(row[*corev1.ResourceQuota, corev1.ResourceQuotaList](corev1.SchemeGroupVersion, "resourcequotas", nil,
		"spec.hard", "spec.scopeSelector", "spec.scopes", "status.used"))

	Secret         = sealed(row[*corev1.Secret, corev1.SecretList](corev1.SchemeGroupVersion, "secrets", nil))
	ConfigMap      = sealed(row[*corev1.ConfigMap, corev1.ConfigMapList](corev1.SchemeGroupVersion, "configmaps", nil))
	ServiceAccount = sealed(row[*corev1.ServiceAccount, corev1.ServiceAccountList](corev1.SchemeGroupVersion, "serviceaccounts", nil))
	PriorityClass  = sealed(clusterScoped(row[*schedulingv1.PriorityClass, schedulingv1.PriorityClassList](schedulingv1.SchemeGroupVersion, "priorityclasses", nil)))

	// All are the rows.
	All = []*Kind{
		StatefulSet, Deployment, Service, PersistentVolumeClaim, PersistentVolume, StorageClass, PodDisruptionBudget,
		HorizontalPodAutoscaler, Pod, Namespace, Node, VolumeAttachment, ResourceQuota,
		Secret, ConfigMap, ServiceAccount, PriorityClass,
	}

	// CustomResourceDefinition is not in All: rules read one by name.
	CustomResourceDefinition = clusterScoped(live(row[*apiextensionsv1.CustomResourceDefinition, apiextensionsv1.CustomResourceDefinitionList](
		apiextensionsv1.SchemeGroupVersion, "customresourcedefinitions", nil,
		"spec.group", "spec.names.kind", "spec.versions.name", "spec.versions.subresources.scale.specReplicasPath"), "get"))

	// CustomResource stands for every kind that a CustomResourceDefinition defines. Each object states its own kind.
	CustomResource = &Kind{GroupVersionKind: schema.GroupVersionKind{Kind: "CustomResource"}, Namespaced: true, Live: true, object: reflect.TypeFor[*Custom]()}
)

var byType, byKind = func() (map[reflect.Type]*Kind, map[schema.GroupKind]*Kind) {
	types, kinds := map[reflect.Type]*Kind{}, map[schema.GroupKind]*Kind{}
	for _, k := range All {
		types[k.object], kinds[k.GroupKind()] = k, k
	}
	for _, k := range []*Kind{CustomResourceDefinition, CustomResource} {
		types[k.object] = k
	}
	return types, kinds
}()

// For returns the row of type T, a pointer to an API type.
func For[T Object]() *Kind { return byType[reflect.TypeFor[T]()] }

// Of returns the object's row, or nil if the table has none.
func Of(o runtime.Object) *Kind { return byType[reflect.TypeOf(o)] }

// Find returns the row of the group and kind in any version, or nil.
func Find(of schema.GroupKind) *Kind { return byKind[of] }

// ByResource returns the row of the resource, or nil.
func ByResource(of schema.GroupResource) *Kind {
	for _, k := range All {
		if k.GroupResource() == of {
			return k
		}
	}
	return nil
}

// Named returns the first row with this kind in any group, or nil.
func Named(kind string) *Kind {
	for _, k := range append(slices.Clone(All), CustomResourceDefinition) {
		if k.Kind == kind {
			return k
		}
	}
	return nil
}

// Spec returns the fields of spec that rules read, whole or in part.
func (k *Kind) Spec() []string {
	var fields []string
	for _, path := range k.keeps {
		if rest, ok := strings.CutPrefix(path, "spec."); ok {
			field, _, _ := strings.Cut(rest, ".")
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// Singular is kubectl's name for one object of the kind.
func (k *Kind) Singular() string { return strings.ToLower(k.Kind) }

// Singular is kubectl's name for an object of this kind.
func Singular(o Object) string {
	if of := o.GetObjectKind().GroupVersionKind(); IsCustom(of.Group) {
		return strings.ToLower(of.Kind) + "." + of.Group
	}
	return Of(o).Singular()
}

// GroupResource is the kind's name in the API server's errors.
func (k *Kind) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.Resource}
}

// New returns an empty object of the kind, its TypeMeta set.
func (k *Kind) New() Object {
	o := reflect.New(k.object.Elem()).Interface().(Object)
	o.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
	return o
}

// NewList returns an empty list of the kind.
func (k *Kind) NewList() List {
	list := reflect.New(k.list).Interface().(List)
	if custom, ok := list.(*unstructured.UnstructuredList); ok {
		custom.SetGroupVersionKind(k.GroupVersion().WithKind(k.Kind + "List"))
	}
	return list
}

// List is a list of objects, as the API server returns it.
type List interface {
	metav1.ListInterface
	runtime.Object
}

// Items returns the objects of a list with their TypeMeta set, which lists omit. They are the list's own, not copies.
func (k *Kind) Items(list List) []Object {
	if custom, ok := list.(*unstructured.UnstructuredList); ok {
		objects := make([]Object, len(custom.Items))
		for i := range objects {
			objects[i] = &Custom{Unstructured: custom.Items[i], Resource: k.Resource}
		}
		return objects
	}
	items := reflect.ValueOf(list).Elem().FieldByName("Items")
	objects := make([]Object, items.Len())
	for i := range objects {
		objects[i] = items.Index(i).Addr().Interface().(Object)
		objects[i].GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
	}
	return objects
}

// AddToScheme registers the Go types of the table.
func AddToScheme(scheme *runtime.Scheme) {
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme, schedulingv1.AddToScheme, storagev1.AddToScheme,
		apiextensionsv1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
}

// row makes the row of an object type and its list type. keeps are the fields that rules read.
func row[T Object, L any](gv schema.GroupVersion, resource string, normalise func(T), keeps ...string) *Kind {
	object := reflect.TypeFor[T]()
	k := &Kind{
		GroupVersionKind: gv.WithKind(object.Elem().Name()), Resource: resource, Namespaced: true, Reads: true, Verbs: []string{"get", "list", "watch"},
		object: object, list: reflect.TypeFor[L](), keeps: keeps,
		trim: compile(object.Elem(), append(slices.DeleteFunc(slices.Clone(keeps), inMetadata), "metadata")),
	}
	if normalise != nil {
		k.normalise = func(o Object) { normalise(o.(T)) }
	}
	return k
}

// inMetadata reports whether the path is in the object's own metadata, which Trim handles itself.
func inMetadata(path string) bool { return strings.HasPrefix(path, "metadata.") }

func clusterScoped(k *Kind) *Kind { k.Namespaced = false; return k }

func live(k *Kind, verbs ...string) *Kind { k.Live, k.Verbs = true, verbs; return k }

func judged(k *Kind) *Kind { k.Reads, k.Verbs = false, nil; return k }

// unread marks a kind that is judged in requests only, never as it is in the cluster.
func unread(k *Kind) *Kind { k.Live = true; return judged(k) }

// sealed marks a kind of which rules see only the names of deleted objects.
func sealed(k *Kind) *Kind { k.Sealed = true; return replaceable(unread(k)) }

func replaceable(k *Kind) *Kind { k.Replaceable = true; return k }

func through(k *Kind, subresources ...string) *Kind { k.Subresources = subresources; return k }
