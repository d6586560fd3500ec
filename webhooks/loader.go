package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// PolicyLoader loads the cluster's policies into a Reviewer. It is a manager's Runnable.
type PolicyLoader struct {
	Reviewer *Reviewer
	Cache    cache.Cache
	// DefaultProfile is the profile of namespaces that choose none.
	DefaultProfile string
	Log            logr.Logger
}

// NeedLeaderElection is false: every replica judges.
func (*PolicyLoader) NeedLeaderElection() bool { return false }

// Start loads the policies whenever they change, until the context ends.
func (l *PolicyLoader) Start(ctx context.Context) error {
	changed, err := changes(ctx, l.Cache, &v1alpha1.StatefulPolicy{})
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the cluster has no StatefulPolicy CRD: %w. Fix: kubectl apply --server-side -f deploy/chart/crds", err)
	}
	if err != nil || changed == nil {
		return err
	}
	for {
		if err := l.load(ctx); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// changes signals each change to objects of these kinds, except to their status, after the cache has synced. It is nil if the
// context ends first.
func changes(ctx context.Context, from cache.Cache, of ...client.Object) (<-chan struct{}, error) {
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, o := range of {
		informer, err := from.GetInformer(ctx, o)
		if err != nil {
			return nil, err
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { notify() },
			UpdateFunc: func(older, newer any) {
				before, ok1 := older.(client.Object)
				after, ok2 := newer.(client.Object)
				if !ok1 || !ok2 || after.GetGeneration() == 0 || before.GetGeneration() != after.GetGeneration() {
					notify()
				}
			},
			DeleteFunc: func(any) { notify() },
		})
		if err != nil {
			return nil, err
		}
		if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			return nil, nil
		}
	}
	return changed, nil
}

// load puts the current policies into force. It leaves out and logs those that are invalid.
func (l *PolicyLoader) load(ctx context.Context) error {
	var list v1alpha1.StatefulPolicyList
	if err := l.Cache.List(ctx, &list); err != nil {
		return fmt.Errorf("listing StatefulPolicies: %w", err)
	}
	set, err := policies.Compile(rules.All, list.Items, l.DefaultProfile)
	if set == nil {
		return err
	}
	if err != nil {
		l.Log.Error(err, "some StatefulPolicies cannot be used and are left out")
	}
	l.Reviewer.policies.Store(set)
	policiesLoaded.Set(float64(set.Len()))
	policiesInvalid.Set(float64(len(list.Items) - set.Len()))
	l.Log.Info("policies in force", "policies", set.Len(), "invalid", len(list.Items)-set.Len(), "defaultProfile", l.DefaultProfile)
	return nil
}

// Ready is a readiness check: the policies have been loaded once.
func (l *PolicyLoader) Ready(*http.Request) error {
	if l.Reviewer.policies.Load() == nil {
		return errors.New("the policies have not been loaded yet")
	}
	return nil
}
