package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Scanner judges a cluster continuously: all of it at intervals, and each namespace soon after a change. It keeps a policy report
// in each namespace with findings, and metrics of all findings. It is a manager's Runnable, and runs on the leader.
type Scanner struct {
	// Cache watches the judged objects: see Cached.
	Cache cache.Cache
	// Live reads what is not watched: the Pods of a namespace with a problem.
	Live client.Reader
	// Reports writes the policy reports.
	Reports client.Client
	// DefaultProfile is the profile of namespaces that choose none.
	DefaultProfile string
	// Excluded are the namespaces that are not judged.
	Excluded []string
	// Interval is the time between two full scans. StuckAfter is as in Options.
	Interval, StuckAfter time.Duration
	Log                  logr.Logger

	queue workqueue.TypedRateLimitingInterface[string]
	// again requests a full scan before the interval ends.
	again    chan struct{}
	policies atomic.Pointer[policies.Set]
	written  written
	seen     violations
}

// NeedLeaderElection is true: two scanners would write the same reports.
func (*Scanner) NeedLeaderElection() bool { return true }

// gather is how long the scanner waits for more changes in a namespace. A rollout makes many.
const gather = time.Second

// Start scans until the context ends.
func (s *Scanner) Start(ctx context.Context) error {
	s.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	s.again = make(chan struct{}, 1)
	s.written.client, s.written.log = s.Reports, s.Log
	if err := s.watch(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		s.queue.ShutDown()
	}()
	go s.everything(ctx)
	for {
		namespace, ended := s.queue.Get()
		if ended {
			s.seen.forgetAll()
			return nil
		}
		switch err := s.scan(ctx, namespace); {
		case err != nil && ctx.Err() == nil:
			scanErrorsTotal.Inc()
			s.Log.Error(err, "cannot judge a namespace; trying again", "namespace", namespace)
			s.queue.AddRateLimited(namespace)
		default:
			s.queue.Forget(namespace)
		}
		s.queue.Done(namespace)
	}
}

// everything queues all namespaces, at once and then at every interval.
func (s *Scanner) everything(ctx context.Context) {
	ticker := time.NewTicker(s.Interval)
	defer ticker.Stop()
	for {
		if err := s.rescan(ctx); err != nil && ctx.Err() == nil {
			scanErrorsTotal.Inc()
			s.Log.Error(err, "cannot scan the cluster; the next scan tries again", "in", s.Interval.String())
		}
		select {
		case <-ticker.C:
		case <-s.again:
		case <-ctx.Done():
			return
		}
	}
}

// rescan queues every namespace: those that exist, and those with reports or metrics.
func (s *Scanner) rescan(ctx context.Context) error {
	set, known, err := Installed(ctx, s.Cache, s.DefaultProfile, func(string) {})
	if err == nil && !known {
		err = errors.New("the scanner lacks the right to list StatefulPolicies")
	}
	if err != nil {
		return err
	}
	s.policies.Store(set)
	reported, err := s.written.load(ctx)
	if err != nil {
		return err
	}
	all, err := s.list(ctx, kinds.Namespace, "")
	if err != nil {
		return err
	}
	for _, o := range all {
		s.queue.Add(o.GetName())
	}
	for _, namespace := range slices.Concat(reported, s.seen.namespaces()) {
		s.queue.Add(namespace)
	}
	scansTotal.Inc()
	return nil
}

// watch queues a namespace when an object in it changes, and all of them when a policy or a storage class does.
func (s *Scanner) watch(ctx context.Context) error {
	own := func(o client.Object) { s.queue.AddAfter(o.GetNamespace(), gather) }
	all := func(client.Object) {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
	var synced []toolscache.InformerSynced
	for _, w := range []struct {
		objects []client.Object
		notify  func(client.Object)
	}{
		{empty(inNamespaces...), own},
		{empty(kinds.Namespace), func(o client.Object) { s.queue.AddAfter(o.GetName(), gather) }},
		{empty(kinds.PersistentVolume), func(o client.Object) {
			if claim := o.(*corev1.PersistentVolume).Spec.ClaimRef; claim != nil {
				s.queue.AddAfter(claim.Namespace, gather)
			}
		}},
		{append(empty(kinds.StorageClass), &v1alpha1.StatefulPolicy{}), all},
	} {
		for _, o := range w.objects {
			informer, err := s.Cache.GetInformer(ctx, o)
			if err != nil {
				return fmt.Errorf("watching %T: %w", o, err)
			}
			registration, err := informer.AddEventHandler(handler(w.notify))
			if err != nil {
				return err
			}
			synced = append(synced, registration.HasSynced)
		}
	}
	toolscache.WaitForCacheSync(ctx.Done(), synced...)
	return nil
}

// handler calls notify for every change, but not for the initial objects or resyncs without changes.
func handler(notify func(client.Object)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(o any, initially bool) {
			if o, ok := o.(client.Object); ok && !initially {
				notify(o)
			}
		},
		UpdateFunc: func(older, newer any) {
			was, ok1 := older.(client.Object)
			is, ok2 := newer.(client.Object)
			if ok1 && ok2 && was.GetResourceVersion() != is.GetResourceVersion() {
				notify(is)
			}
		},
		DeleteFunc: func(o any) {
			if lost, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = lost.Obj
			}
			if o, ok := o.(client.Object); ok {
				notify(o)
			}
		},
	}
}

// scan judges one namespace and records its findings.
func (s *Scanner) scan(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{}
	err := s.Cache.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if apierrors.IsNotFound(err) || err == nil && namespace.DeletionTimestamp != nil {
		// Its report is deleted with it, and nothing can be created in it.
		s.seen.set(name, nil)
		s.written.forget(name)
		return nil
	}
	if err != nil {
		return err
	}
	var findings []policies.Finding
	if !slices.Contains(s.Excluded, name) {
		c, err := s.cluster(ctx, namespace)
		if err != nil {
			return err
		}
		if findings, err = s.judge(c); err != nil {
			return err
		}
	}
	s.seen.set(name, findings)
	return s.written.write(ctx, name, findings)
}

func (s *Scanner) judge(c *cluster) ([]policies.Finding, error) {
	judged, err := c.judge(s.policies.Load(), labels.Everything(), policies.Clock{Now: time.Now(), StuckAfter: s.StuckAfter})
	for _, set := range all[*appsv1.StatefulSet](c) {
		if int64(set.Status.ReadyReplicas) < statefulset.OrdinalsOf(set).Count() || statefulset.Behind(set) > 0 {
			// No event shows when something becomes stuck.
			s.queue.AddAfter(c.name, s.StuckAfter)
			break
		}
	}
	return judged.findings, err
}

// cluster returns the namespace from the cache.
func (s *Scanner) cluster(ctx context.Context, namespace *corev1.Namespace) (*cluster, error) {
	none := &unknown{}
	namespace.SetGroupVersionKind(kinds.Namespace.GroupVersionKind)
	around := &shared{
		namespaces: map[string]kinds.Object{namespace.Name: namespace}, classes: map[string]kinds.Object{}, unknown: none,
	}
	storage, err := s.list(ctx, kinds.StorageClass, "")
	if err != nil {
		return nil, err
	}
	for _, o := range storage {
		around.classes[o.GetName()] = o
	}
	live := source{reader: s.Live, in: []string{""}, unknown: func(k *kinds.Kind, namespace string, err error) {
		none.add(k, namespace)
		s.Log.Error(err, "the scanner lacks a right", "resource", k.Resource)
	}}
	around.readPods = func(ctx context.Context, namespace string, add func(kinds.Object)) (bool, error) {
		return live.pods(ctx, none, namespace, add)
	}
	around.volume = func(ctx context.Context, name string) (kinds.Object, bool, error) {
		volume := kinds.PersistentVolume.New()
		err := s.Cache.Get(ctx, client.ObjectKey{Name: name}, volume, client.UnsafeDisableDeepCopy)
		if apierrors.IsNotFound(err) {
			return nil, true, nil
		}
		return volume, err == nil, err
	}
	c := newCluster(ctx, around, namespace.Name)
	var errs []error
	for _, k := range inNamespaces {
		objects, err := s.list(ctx, k, namespace.Name)
		errs = append(errs, err)
		for _, o := range objects {
			c.add(o)
		}
	}
	return c, errors.Join(errs...)
}

// list returns the cached objects of the kind, which are shared.
func (s *Scanner) list(ctx context.Context, k *kinds.Kind, namespace string) ([]kinds.Object, error) {
	list := k.NewList()
	if err := s.Cache.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return k.Items(list), nil
}

func empty(of ...*kinds.Kind) []client.Object {
	var objects []client.Object
	for _, k := range of {
		objects = append(objects, k.New())
	}
	return objects
}
