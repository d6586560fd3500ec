package certs

import (
	"bytes"
	"context"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// keeper runs on the leader. It decides what the Secret holds and writes the caBundles.
type keeper struct {
	*selfSigned

	// The time since when this leader has seen bundle in every caBundle. A new leader counts anew, which is safe.
	bundle []byte
	since  time.Time
}

// keep takes one step towards a valid Secret and matching caBundles. Its writes trigger the next step.
func (k *keeper) keep(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	now := k.Clock.Now()
	secret, c, err := k.read(ctx)
	switch {
	case apierrors.IsNotFound(err) && k.serving.Load() == nil:
		return reconcile.Result{}, nil // load creates it, on whichever replica comes first
	case secret == nil && !apierrors.IsNotFound(err):
		return reconcile.Result{}, err
	case err != nil:
		log.FromContext(ctx).Error(err, "The certificate is missing or unusable; replacing it")
		reason := err.Error()
		if c, err = k.replacement(now); err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, k.write(ctx, secret, c, reason)
	}

	if err := k.inject(ctx, c, now); err != nil {
		return reconcile.Result{}, err
	}
	settled := !k.since.IsZero() && now.Sub(k.since) >= k.Settle
	next, reason, err := c.next(k.Options, settled, now)
	if err != nil || next == c {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, k.write(ctx, secret, next, reason)
}

// replacement returns the chain that replaces an invalid Secret: a new CA with the certificate that this replica, and so probably
// all others, still serves. Without one, everything is new.
func (k *keeper) replacement(now time.Time) (*chain, error) {
	held := k.serving.Load()
	switch {
	case held == nil || held.expired(now) != nil:
		return newChain(k.Options, now)
	case held.pending():
		return held, nil
	default:
		return held.withNewCA(k.Options, now)
	}
}

// inject writes the CAs of c into every caBundle that differs, and tracks how long they have been there. It skips a configuration
// that does not exist.
func (k *keeper) inject(ctx context.Context, c *chain, now time.Time) error {
	bundle, err := c.bundle()
	if err != nil {
		return err
	}
	written := false
	for _, object := range k.configurations() {
		if err := k.client.Get(ctx, client.ObjectKeyFromObject(object), object); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return err
		}
		changed := object.DeepCopyObject().(client.Object)
		differs := false
		for _, webhook := range clientConfigs(changed) {
			if !bytes.Equal(webhook.ClientConfig.CABundle, bundle) {
				webhook.ClientConfig.CABundle, differs = bundle, true
			}
		}
		if !differs {
			continue
		}
		written, k.since = true, time.Time{}
		patch := client.StrategicMergeFrom(object, client.MergeFromWithOptimisticLock{})
		if err := k.client.Patch(ctx, changed, patch); apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			continue // the cache is behind; it wakes us up when it is not
		} else if err != nil {
			return fmt.Errorf("write the caBundles of %s: %w", object.GetName(), err)
		}
		log.FromContext(ctx).Info("Wrote the caBundles", "configuration", object.GetName(), "cas", len(c.cas))
	}
	// After a write, counting starts once the cache shows it.
	if !written && (k.since.IsZero() || !bytes.Equal(k.bundle, bundle)) {
		k.bundle, k.since = bundle, now
	}
	return nil
}

// clientConfig is what validating and mutating webhooks share.
type clientConfig struct {
	Name         string
	ClientConfig *admissionv1.WebhookClientConfig
}

// clientConfigs returns the clientConfig of each webhook of a configuration. They point into the object.
func clientConfigs(object client.Object) (configs []clientConfig) {
	switch object := object.(type) {
	case *admissionv1.ValidatingWebhookConfiguration:
		for i := range object.Webhooks {
			configs = append(configs, clientConfig{object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig})
		}
	case *admissionv1.MutatingWebhookConfiguration:
		for i := range object.Webhooks {
			configs = append(configs, clientConfig{object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig})
		}
	}
	return configs
}
