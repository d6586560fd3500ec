package webhooks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// clusters reads a cluster through a cache and live.
type clusters struct {
	cached, live client.Reader
	watched      Watched
	rights       *rights
	above        *cache.Expiring
	excluded     []string
}

// Asked is the client with which Clusters check rights and look up the resource of a kind.
type Asked interface {
	client.Writer
	RESTMapper() meta.RESTMapper
}

// NewClusters returns Clusters that read from a cache and, if that is not enough, live. watched, which may be nil, shows where to
// look. Rights are checked through asked. Searches of all namespaces skip the excluded ones.
func NewClusters(cached, live client.Reader, watched Watched, asked Asked, excluded ...string) Clusters {
	return clusters{cached: cached, live: live, watched: watched, rights: newRights(asked), above: cache.NewExpiring(), excluded: excluded}
}

func (cs clusters) Around(ctx context.Context, user authenticationv1.UserInfo, live bool) policies.Cluster {
	return cluster{ctx: ctx, onlyLive: live, cached: cs.cached, live: cs.live, watched: cs.watched, rights: cs.rights, above: cs.above, user: user, excluded: cs.excluded}
}

// Scaled returns the cached StatefulSet if the Scale was made from it, otherwise the live one.
func (cs clusters) Scaled(ctx context.Context, key client.ObjectKey, resourceVersion string) (*appsv1.StatefulSet, error) {
	set := &appsv1.StatefulSet{}
	if err := cs.cached.Get(ctx, key, set, client.UnsafeDisableDeepCopy); err != nil || set.ResourceVersion != resourceVersion {
		if err := cs.live.Get(ctx, key, set); err != nil {
			return nil, err
		}
	}
	set.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("StatefulSet"))
	return set, nil
}

// Custom returns the kind of the custom resource with its live metadata if Mooring can read it, otherwise with the Scale's. It
// returns an Advanced StatefulSet in full.
func (cs clusters) Custom(ctx context.Context, of schema.GroupVersionResource, meta metav1.ObjectMeta) (*kinds.Custom, error) {
	kind, err := cs.rights.asked.RESTMapper().KindFor(of)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKey{Namespace: meta.Namespace, Name: meta.Name}
	if kind.GroupKind() == kinds.Advanced.GroupKind() {
		whole := &kinds.Custom{Resource: of.Resource}
		whole.SetGroupVersionKind(kind)
		return whole, cs.live.Get(ctx, key, &whole.Unstructured)
	}
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(kind)
	err = cs.live.Get(ctx, key, o)
	if apierrors.IsForbidden(err) {
		o.ObjectMeta, err = meta, nil
	}
	if err != nil {
		return nil, err
	}
	o.SetGroupVersionKind(kind)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	return &kinds.Custom{Unstructured: unstructured.Unstructured{Object: content}, Resource: of.Resource}, err
}

// Pod returns the live Pod.
func (cs clusters) Pod(ctx context.Context, key client.ObjectKey) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := cs.live.Get(ctx, key, pod)
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return pod, err
}

// cluster answers the rules' questions for one request, from a cache or from the API server. Objects from a cache are not copied,
// because no caller changes them.
type cluster struct {
	ctx context.Context
	// onlyLive means that all objects are read live. Otherwise only kinds that are not cached are, and a namespace that the cache does
	// not have: the namespace of a request must exist.
	onlyLive bool
	live     client.Reader
	// cached also searches all namespaces except the excluded ones, which is too much for live reads.
	cached   client.Reader
	excluded []string
	// watched shows where to look, and has the cached objects by name.
	watched Watched
	rights  *rights
	// above caches the owners of custom resources across requests.
	above *cache.Expiring
	user  authenticationv1.UserInfo
}

func (c cluster) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	if !c.onlyLive {
		if o, ok := c.watched.get(kind, namespace, name); ok {
			return o, true, nil
		}
	}
	o, err := c.get(c.from(kind), kind, namespace, name)
	if kind == kinds.Namespace && o == nil && err == nil {
		o, err = c.get(c.live, kind, namespace, name)
	}
	return o, err == nil, err
}

func (c cluster) get(reader client.Reader, kind *kinds.Kind, namespace, name string) (kinds.Object, error) {
	o := kind.New()
	err := reader.Get(c.ctx, client.ObjectKey{Namespace: namespace, Name: name}, o, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

func (c cluster) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	list, everywhere := kind.NewList(), namespace == "" && kind.Namespaced
	from := c.from(kind)
	if everywhere {
		from = c.cached
	}
	err := from.List(c.ctx, list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, false, err
	}
	items := kind.Items(list)
	if everywhere {
		items = slices.DeleteFunc(items, func(o kinds.Object) bool { return slices.Contains(c.excluded, o.GetNamespace()) })
	}
	return items, true, nil
}

// Seen reads the caches, which may be behind.
func (c cluster) Seen(index *policies.Index, namespace, value string) ([]kinds.Object, bool) {
	seen, ok := c.watched.seen(index, namespace, value)
	if namespace == "" {
		seen = slices.DeleteFunc(seen, func(o kinds.Object) bool { return slices.Contains(c.excluded, o.GetNamespace()) })
	}
	return seen, ok
}

// PodsOn makes the API server select the Pods.
func (c cluster) PodsOn(node string) ([]kinds.Object, error) {
	list := kinds.Pod.NewList()
	if err := c.live.List(c.ctx, list, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(kinds.Pod.Items(list), func(o kinds.Object) bool { return slices.Contains(c.excluded, o.GetNamespace()) }), nil
}

// Walk reads page by page.
func (c cluster) Walk(kind *kinds.Kind, namespace string, visit func(kinds.Object) bool) (bool, error) {
	const page = 100
	for next := ""; ; {
		list := kind.NewList()
		if err := c.live.List(c.ctx, list, client.InNamespace(namespace), client.Limit(page), client.Continue(next)); err != nil {
			return false, err
		}
		if next = list.GetContinue(); slices.ContainsFunc(kind.Items(list), visit) || next == "" {
			return true, nil
		}
	}
}

func (c cluster) from(kind *kinds.Kind) client.Reader {
	if c.onlyLive || kind.Live {
		return c.live
	}
	return c.cached
}

func (c cluster) MayBypass(policy, namespace string) (bool, bool, error) {
	may, err := c.rights.may(c.ctx, c.user, authorizationv1.ResourceAttributes{
		Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version,
		Resource: "statefulpolicies", Verb: "bypass", Name: policy, Namespace: namespace,
	})
	return may, err == nil, err
}

// MayOperate is always known. If Mooring cannot read the owner, the user's right alone decides: only operators have it, and
// refusing all operators whose resources Mooring cannot read would stop them.
func (c cluster) MayOperate(namespace string, owner metav1.OwnerReference) (bool, bool, error) {
	mapping, err := c.mapping(owner)
	if meta.IsNoMatchError(err) {
		return false, true, nil
	}
	if err != nil {
		return false, false, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		namespace = ""
	}
	right := authorizationv1.ResourceAttributes{
		Group: mapping.Resource.Group, Version: mapping.Resource.Version, Resource: mapping.Resource.Resource, Subresource: "status",
		Verb: "update", Name: owner.Name, Namespace: namespace,
	}
	may, err := c.rights.may(c.ctx, c.user, right)
	if err == nil && !may {
		// If a kind has no status, its operator can update finalizers, to set owner references that block deletion.
		right.Subresource = "finalizers"
		may, err = c.rights.may(c.ctx, c.user, right)
	}
	if err != nil || !may {
		return false, err == nil, err
	}
	o, known, err := c.Owner(namespace, owner)
	return o != nil || !known, err == nil, err
}

func (c cluster) MayAnything() (bool, bool, error) {
	may, err := c.rights.may(c.ctx, c.user, authorizationv1.ResourceAttributes{Group: "*", Resource: "*", Verb: "*"})
	return may, err == nil, err
}

// Owner reads the owner's live metadata. It is unknown if Mooring cannot read it, or if the kind is not served, for which the
// garbage collector waits.
func (c cluster) Owner(namespace string, owner metav1.OwnerReference) (*metav1.PartialObjectMetadata, bool, error) {
	mapping, err := c.mapping(owner)
	if meta.IsNoMatchError(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(mapping.GroupVersionKind)
	err = c.live.Get(c.ctx, client.ObjectKey{Namespace: namespace, Name: owner.Name}, o)
	switch {
	case apierrors.IsNotFound(err):
		return nil, true, nil
	case apierrors.IsForbidden(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case o.UID != owner.UID:
		return nil, true, nil
	}
	return o, true, nil
}

// The owners of custom resources are cached for ownersAreFresh: they rarely change, and no event shows it. A live answer is at most
// ownersAreLive old, because reading every owner of a namespace for each delete takes too long.
const (
	ownersAreFresh = time.Minute
	ownersAreLive  = 2 * time.Second
)

// ancestry is the cached result for an owner, or for all of a kind that Mooring cannot read.
type ancestry struct {
	owners []metav1.OwnerReference
	known  bool
	read   time.Time
}

// Above reads the owners of an owner, unless they are cached.
func (c cluster) Above(namespace string, owner metav1.OwnerReference) ([]metav1.OwnerReference, bool, error) {
	kind := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind()
	for _, of := range []any{owner.UID, kind} {
		if remembered, ok := c.above.Get(of); ok {
			above := remembered.(ancestry)
			if !c.onlyLive || time.Since(above.read) < ownersAreLive {
				return above.owners, above.known, nil
			}
		}
	}
	o, known, err := c.Owner(namespace, owner)
	switch {
	case err != nil:
		return nil, false, err
	case !known:
		c.above.Set(kind, ancestry{read: time.Now()}, ownersAreLive)
		return nil, false, nil
	case o == nil:
		o = &metav1.PartialObjectMetadata{}
	}
	c.above.Set(owner.UID, ancestry{o.OwnerReferences, true, time.Now()}, ownersAreFresh)
	return o.OwnerReferences, true, nil
}

// mapping returns the owner's resource, in another version if the owner's is no longer served.
func (c cluster) mapping(owner metav1.OwnerReference) (*meta.RESTMapping, error) {
	gvk := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind)
	mapping, err := c.rights.asked.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return c.rights.asked.RESTMapper().RESTMapping(gvk.GroupKind())
	}
	return mapping, err
}

// rights checks rights with the API server, and caches the answers for a few seconds.
type rights struct {
	asked    Asked
	answered *cache.Expiring
}

const rightsAreFresh = 5 * time.Second

func newRights(asked Asked) *rights {
	return &rights{asked: asked, answered: cache.NewExpiring()}
}

func (r *rights) may(ctx context.Context, user authenticationv1.UserInfo, what authorizationv1.ResourceAttributes) (bool, error) {
	key := strings.Join([]string{what.String(), user.Username, user.UID, fmt.Sprint(user.Groups), fmt.Sprint(user.Extra)}, "\x00")
	if allowed, ok := r.answered.Get(key); ok {
		return allowed.(bool), nil
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra(user.Extra),
		ResourceAttributes: &what,
	}}
	if err := r.asked.Create(ctx, review); err != nil {
		return false, err
	}
	r.answered.Set(key, review.Status.Allowed, rightsAreFresh)
	return review.Status.Allowed, nil
}

func extra(of map[string]authenticationv1.ExtraValue) map[string]authorizationv1.ExtraValue {
	same := make(map[string]authorizationv1.ExtraValue, len(of))
	for k, v := range of {
		same[k] = authorizationv1.ExtraValue(v)
	}
	return same
}
