package certs

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// selfSigned runs on every replica and serves the Secret's certificate. The keeper writes the Secret.
type selfSigned struct{ *stored }

// SelfSigned returns a certificate that the webhook's replicas create and renew by themselves while their managers run. The first
// replica creates the Secret. The leader renews the certificate and writes the caBundles. It returns an error if the options are
// invalid or mgr rejects it.
func SelfSigned(mgr manager.Manager, o Options) (Source, error) {
	base, err := newStored(mgr, scheme.Scheme, o, o.secret(o.Secret))
	if err != nil {
		return nil, err
	}
	s := &selfSigned{base}
	if err := s.control(mgr, "certificate-replica", false, reconcile.Func(s.load)); err != nil {
		return nil, err
	}
	k := &keeper{selfSigned: s}
	return s, s.control(mgr, "certificate-keeper", true, reconcile.Func(k.keep))
}

// load serves the Secret's content if it is valid, and creates the Secret if this replica has nothing to serve.
func (s *selfSigned) load(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	secret, c, err := s.read(ctx)
	switch {
	case err == nil:
		s.serve(ctx, c)
	case secret == nil && apierrors.IsNotFound(err) && s.serving.Load() == nil:
		s.problem.Store(&err)
		c, err := newChain(s.Options, s.Clock.Now())
		if err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, s.write(ctx, nil, c, "there is none")
	default:
		s.problem.Store(&err)
	}
	return reconcile.Result{}, nil
}

// read returns the Secret and its unexpired chain. The Secret is nil if it could not be read.
func (s *selfSigned) read(ctx context.Context) (*corev1.Secret, *chain, error) {
	secret := &corev1.Secret{}
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Secret}, secret); err != nil {
		return nil, nil, err
	}
	c, err := parse(secret.Data)
	if err == nil {
		err = c.expired(s.Clock.Now())
	}
	if err != nil {
		return secret, nil, fmt.Errorf("certificate Secret %s/%s: %w", s.Namespace, s.Secret, err)
	}
	return secret, c, nil
}

// write stores c in the Secret as it was read, or in a new one if that is nil. If another replica was faster, that is no error: the
// watch brings its chain.
func (s *selfSigned) write(ctx context.Context, secret *corev1.Secret, c *chain, reason string) error {
	data, err := c.data()
	if err != nil {
		return err
	}
	if secret == nil {
		err = s.client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Secret},
			Type:       corev1.SecretTypeTLS,
			Data:       data,
		})
	} else {
		secret = secret.DeepCopy()
		secret.Data = data
		err = s.client.Update(ctx, secret)
	}
	logger := log.FromContext(ctx)
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		logger.V(1).Info("Another replica wrote the certificate first")
		return nil
	}
	if err == nil {
		logger.Info("Wrote the certificate", "reason", reason, "expires", c.leaf.Leaf.NotAfter, "cas", len(c.cas))
	}
	return err
}
