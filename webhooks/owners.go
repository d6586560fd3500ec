package webhooks

import (
	"cmp"
	"context"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

const (
	owners = "owners.mooring.dev"
	// takesAway and changed are guard's and lint's matchConditions on the resources that they judge. The others also apply to
	// owners.
	takesAway, changed = "takes-away", "changes"
)

// OwnerRegistration makes the API server call Mooring for the custom resources that own StatefulSets and claims, and for no others.
// It maintains a separate ValidatingWebhookConfiguration, which the chart installs empty. Except for its rules it equals guard's,
// and it calls nothing before guard does.
type OwnerRegistration struct {
	*Registration
	// Owners is the name of the ValidatingWebhookConfiguration.
	Owners   string
	Clusters Clusters

	// scales are the cached fields of the owners' scale subresources by version. No event shows their changes.
	scales map[schema.GroupResource]map[string]string
	since  time.Time
}

const (
	// soon is how long to wait for more owners.
	soon = 200 * time.Millisecond
	// again is how often to look at what no event shows.
	again = time.Minute
)

// SetupWithManager makes the leader reconcile the configuration whenever an owner is added or removed.
func (r *OwnerRegistration) SetupWithManager(mgr manager.Manager) error {
	request := ctrl.Request{NamespacedName: client.ObjectKey{Name: r.Owners}}
	type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]
	owned := handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if len(e.Object.GetOwnerReferences()) > 0 {
				q.AddAfter(request, soon)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if !equality.Semantic.DeepEqual(e.ObjectOld.GetOwnerReferences(), e.ObjectNew.GetOwnerReferences()) {
				q.AddAfter(request, soon)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			if len(e.Object.GetOwnerReferences()) > 0 {
				q.AddAfter(request, soon)
			}
		},
	}
	always := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []ctrl.Request { return []ctrl.Request{request} })
	return ctrl.NewControllerManagedBy(mgr).Named("owners").
		Watches(&admissionregistrationv1.ValidatingWebhookConfiguration{}, always).
		Watches(&appsv1.StatefulSet{}, owned).
		Watches(&corev1.PersistentVolumeClaim{}, owned).
		Watches(&v1alpha1.StatefulPolicy{}, always).
		Complete(r)
}

// Reconcile updates the configuration.
func (r *OwnerRegistration) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	next := ctrl.Result{RequeueAfter: again}
	is, guarded := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: r.Owners}, is); err != nil {
		// Whoever deleted it did so on purpose.
		return next, client.IgnoreNotFound(err)
	}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: r.Validating}, guarded); client.IgnoreNotFound(err) != nil {
		return next, err
	}
	found, err := r.kinds(ctx)
	if err != nil {
		return next, err
	}
	advanced, err := r.advanced()
	if err != nil {
		return next, err
	}
	var like [2]admissionregistrationv1.ValidatingWebhook
	for _, w := range guarded.Webhooks {
		switch w.Name {
		case guard:
			like[0] = w
		case lint:
			like[1] = w
		}
	}
	want := ownersWebhooks(like[0], like[1], found, advanced)
	ownerKinds.Set(float64(len(found)))
	if !equality.Semantic.DeepEqual(is.Webhooks, want) {
		before := is.DeepCopy()
		is.Webhooks = want
		if err := r.Client.Patch(ctx, is, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return next, unlessBehind(err)
		}
		log.FromContext(ctx).Info("owners are registered: deletes and scale-downs of these custom resources are judged", "kinds", found)
	}
	return next, r.own(ctx, is)
}

// advanced reports whether the cluster has Advanced StatefulSets.
func (r *OwnerRegistration) advanced() (bool, error) {
	_, err := r.Client.RESTMapper().RESTMapping(kinds.Advanced.GroupKind())
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// kinds returns the kinds of custom resources that own StatefulSets or claims, over any number of owners, as far as Mooring can
// read these.
func (r *OwnerRegistration) kinds(ctx context.Context) ([]ownerKind, error) {
	c := r.Clusters.Around(ctx, authenticationv1.UserInfo{}, false)
	sets, _, err := policies.List[*appsv1.StatefulSet](c, "")
	if err != nil {
		return nil, err
	}
	claims, _, err := policies.List[*corev1.PersistentVolumeClaim](c, "")
	if err != nil {
		return nil, err
	}
	if time.Since(r.since) >= again {
		r.scales, r.since = map[schema.GroupResource]map[string]string{}, time.Now()
	}
	up := ascent{c: c, seen: map[types.UID]bool{}, found: map[schema.GroupKind]bool{}}
	for _, set := range sets {
		if err := up.follow(set.Namespace, set.OwnerReferences); err != nil {
			return nil, err
		}
	}
	for _, claim := range claims {
		if err := up.follow(claim.Namespace, claim.OwnerReferences); err != nil {
			return nil, err
		}
	}
	var list v1alpha1.StatefulPolicyList
	if err := r.Client.List(ctx, &list); err != nil {
		return nil, err
	}
	var named []v1alpha1.Owner
	for _, policy := range list.Items {
		named = append(named, policy.Spec.Owners...)
	}
	var found []ownerKind
	for kind := range up.found {
		if kind == kinds.Advanced.GroupKind() {
			continue // it is no owner, but judged as a StatefulSet
		}
		mapping, err := r.Client.RESTMapper().RESTMapping(kind)
		if meta.IsNoMatchError(err) {
			continue // its CustomResourceDefinition is gone
		}
		if err != nil {
			return nil, err
		}
		of, err := r.ownerKind(c, mapping, named)
		if err != nil {
			return nil, err
		}
		found = append(found, of)
	}
	slices.SortFunc(found, func(a, b ownerKind) int { return cmp.Compare(a.String(), b.String()) })
	return found, nil
}

// ownerKind returns the fields with which custom resources of the kind scale, in any version.
func (r *OwnerRegistration) ownerKind(c policies.Cluster, of *meta.RESTMapping, named []v1alpha1.Owner) (ownerKind, error) {
	k := ownerKind{GroupResource: of.Resource.GroupResource()}
	scales, ok := r.scales[k.GroupResource]
	if !ok {
		definition, _, err := policies.Get[*apiextensionsv1.CustomResourceDefinition](c, "", k.String())
		if definition == nil || err != nil {
			return k, err
		}
		scales = map[string]string{}
		for _, version := range definition.Spec.Versions {
			scales[version.Name] = policies.ScalePath(version)
		}
		r.scales[k.GroupResource] = scales
	}
	for _, scale := range scales {
		paths := policies.ReplicasPaths(of.GroupVersionKind.GroupKind(), scale, named)
		k.Scales = k.Scales || slices.Contains(paths, scale)
		k.Paths = append(k.Paths, paths...)
	}
	slices.Sort(k.Paths)
	k.Paths = slices.Compact(k.Paths)
	return k, nil
}

// ascent collects the kinds of custom resources above what they own.
type ascent struct {
	c     policies.Cluster
	seen  map[types.UID]bool
	found map[schema.GroupKind]bool
}

func (a ascent) follow(namespace string, owners []metav1.OwnerReference) error {
	return policies.Ascend(owners, func(ref metav1.OwnerReference) ([]metav1.OwnerReference, bool, error) {
		kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind()
		if a.seen[ref.UID] || !kinds.IsCustom(kind.Group) {
			return nil, false, nil
		}
		a.seen[ref.UID], a.found[kind] = true, true
		above, _, err := policies.Above(a.c, namespace, ref)
		return above, false, err
	})
}
