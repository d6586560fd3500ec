package webhooks

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// StatusWriter writes the status of the cluster's policies. It is a manager's Runnable.
type StatusWriter struct {
	Cache  cache.Cache
	Client client.Client
	Log    logr.Logger
}

// NeedLeaderElection is true: one replica writes.
func (*StatusWriter) NeedLeaderElection() bool { return true }

// Start writes the status whenever a policy changes, an object that policies name changes, or an exception ends.
func (w *StatusWriter) Start(ctx context.Context) error {
	changed, err := changes(ctx, w.Cache, &v1alpha1.StatefulPolicy{}, &corev1.Namespace{}, &storagev1.StorageClass{})
	if err != nil || changed == nil {
		return err
	}
	const retry = 10 * time.Second
	for {
		next, err := w.write(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.Error(err, "the status of the StatefulPolicies is not up to date")
			next = retry
		}
		var ends <-chan time.Time
		if next > 0 {
			ends = time.After(next)
		}
		select {
		case <-changed:
		case <-ends:
		case <-ctx.Done():
			return nil
		}
	}
}

// write updates every status, and returns the time until the next exception ends; 0 for never.
func (w *StatusWriter) write(ctx context.Context) (next time.Duration, err error) {
	var list v1alpha1.StatefulPolicyList
	if err := w.Cache.List(ctx, &list); err != nil {
		return 0, err
	}
	clusters := NewClusters(w.Cache, w.Client, nil, w.Client).Around(ctx, authenticationv1.UserInfo{}, false)
	found, err := policies.Diagnose(rules.All, list.Items, clusters)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	for i := range list.Items {
		policy := list.Items[i].DeepCopy()
		for _, e := range policy.Spec.Exceptions {
			if e.Until == nil || !e.Until.After(now) {
				continue
			}
			if in := e.Until.Sub(now); next == 0 || in < next {
				next = in
			}
		}
		before := policy.DeepCopy()
		policy.Status.Denies = policies.Denies(rules.All, policy)
		policy.Status.Exceptions = policies.Excepts(policy, now)
		condition := ready(found[policy.Name])
		condition.ObservedGeneration = policy.Generation
		meta.SetStatusCondition(&policy.Status.Conditions, condition)
		if reflect.DeepEqual(before.Status, policy.Status) {
			continue
		}
		if err := w.Client.Status().Patch(ctx, policy, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return 0, fmt.Errorf("writing the status of StatefulPolicy %s: %w", policy.Name, err)
		}
	}
	return next, nil
}

func ready(d policies.Diagnosis) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	switch {
	case d.Invalid != nil:
		c.Reason, c.Message = "Invalid", "The policy is not in use: "+d.Invalid.Error()
	case len(d.Contradicts) > 0:
		c.Reason, c.Message = "Contradiction", "No object can satisfy this policy and "+strings.Join(append(d.Contradicts, d.Missing...), "; ")
	case len(d.Missing) > 0:
		c.Reason, c.Message = "Missing", "The policy is in use, but "+strings.Join(d.Missing, "; ")
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, "InForce", "The policy is in use."
	}
	return c
}
