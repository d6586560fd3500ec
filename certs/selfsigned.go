package certs

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Options say what [SelfSigned] certifies and where it keeps it.
type Options struct {
	Namespace string // of the Secret and the Service
	Secret    string // name of the Secret; it need not exist

	// The leaf is valid for the DNS names of Service, unless that is empty, and for the DNS names and IP addresses in
	// ExtraNames. A webhook that is registered by URL needs the host of the URL here.
	Service    string
	ExtraNames []string

	// Names of the configurations whose caBundles are kept, in every webhook that they list. Empty means none.
	Validating, Mutating string

	// How long a new CA and a new leaf are valid, and so how often they are renewed: when a third is left. The defaults
	// are 365 and 90 days. The CA's must not be the shorter one.
	CAValidity, LeafValidity time.Duration

	// Settle is how long every API server may take to see a changed caBundle; a leaf of a new CA is not issued sooner.
	// The default is one minute. It must be less than a third of LeafValidity.
	Settle time.Duration

	// Clock defaults to the real one.
	Clock clock.Clock
}

func (o *Options) complete() error {
	o.CAValidity = cmp.Or(o.CAValidity, 365*24*time.Hour)
	o.LeafValidity = cmp.Or(o.LeafValidity, 90*24*time.Hour)
	o.Settle = cmp.Or(o.Settle, time.Minute)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	switch {
	case o.Namespace == "" || o.Secret == "":
		return errors.New("the certificate Secret needs a namespace and a name")
	case len(o.names()) == 0:
		return errors.New("the certificate needs a Service or a name to be valid for")
	case o.LeafValidity > o.CAValidity:
		return errors.New("a leaf cannot be valid for longer than its CA")
	case o.Settle < 0 || 3*o.Settle >= o.LeafValidity:
		return errors.New("the settle time must be less than a third of the leaf's validity")
	}
	return nil
}

func (o *Options) names() []string {
	var names []string
	if o.Service != "" {
		name := o.Service + "." + o.Namespace
		names = []string{name + ".svc", name + ".svc.cluster.local", name, o.Service}
	}
	return append(names, o.ExtraNames...)
}

// configurations returns empty objects that carry the names of the webhook configurations.
func (o *Options) configurations() (objects []client.Object) {
	if o.Validating != "" {
		objects = append(objects, &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: o.Validating}})
	}
	if o.Mutating != "" {
		objects = append(objects, &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: o.Mutating}})
	}
	return objects
}

// selfSigned runs on every replica: it serves what the Secret holds. What the Secret holds is the keeper's business.
type selfSigned struct {
	Options
	client  client.Client         // reads from a cache that holds nothing but the named objects
	serving atomic.Pointer[chain] // the last good content of the Secret
	problem atomic.Pointer[error] // why the Secret cannot be served
}

// SelfSigned returns a certificate that the webhook's replicas make and renew by themselves for as long as their managers
// run. The first replica creates the Secret and the others adopt it; renewing and writing the caBundles is left to the
// leader. It returns an error if the options contradict each other or mgr does not take it.
func SelfSigned(mgr manager.Manager, o Options) (Source, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	// A cache of its own, by name: the manager's would ask for all Secrets.
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector(metav1.ObjectNameField, name) }
	objects := map[client.Object]cache.ByObject{
		&corev1.Secret{}: {Namespaces: map[string]cache.Config{o.Namespace: {FieldSelector: named(o.Secret)}}},
	}
	for _, object := range o.configurations() {
		objects[object] = cache.ByObject{Field: named(object.GetName())}
	}
	view, err := cluster.New(mgr.GetConfig(), func(c *cluster.Options) {
		c.Scheme = scheme.Scheme
		c.Cache.ByObject = objects
		c.Logger = mgr.GetLogger()
		c.Client.FieldOwner = "mooring-certs"
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(view); err != nil {
		return nil, err
	}

	s := &selfSigned{Options: o, client: view.GetClient()}
	if err := s.control(mgr, view.GetCache(), "certificate-replica", false, reconcile.Func(s.load)); err != nil {
		return nil, err
	}
	k := &keeper{selfSigned: s}
	return s, s.control(mgr, view.GetCache(), "certificate-keeper", true, reconcile.Func(k.keep))
}

// control calls r, never twice at a time, at the start, whenever one of the named objects changes, and every now and then.
func (s *selfSigned) control(mgr manager.Manager, c cache.Cache, name string, leader bool, r reconcile.Func) error {
	skipNameValidation := true // several replicas may live in one process, as they do in tests
	ctrl, err := controller.New(name, mgr, controller.Options{
		Reconciler: r, NeedLeaderElection: &leader, SkipNameValidation: &skipNameValidation,
	})
	if err != nil {
		return err
	}
	request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: s.Namespace, Name: s.Secret}}
	enqueue := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{request}
	})
	for _, object := range append(s.configurations(), &corev1.Secret{}) {
		if err := ctrl.Watch(source.Kind(c, object, enqueue)); err != nil {
			return err
		}
	}
	return ctrl.Watch(source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			for {
				queue.Add(request)
				select {
				case <-ctx.Done():
					return
				case <-s.Clock.After(s.Settle / 4):
				}
			}
		}()
		return nil
	}))
}

// load takes over what the Secret holds, if that is any good, and creates the Secret if this replica has nothing to serve.
func (s *selfSigned) load(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	secret, c, err := s.read(ctx)
	switch {
	case err == nil:
		if s.serving.Swap(c) == nil {
			log.FromContext(ctx).Info("Serving a certificate", "expires", c.leaf.Leaf.NotAfter)
		}
		setExpiry("leaf", c.leaf.Leaf)
		setExpiry("ca", c.issuer())
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

// read returns the Secret and the unexpired chain in it. The Secret is nil if it could not be read.
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

// write stores c in the Secret as it was read, or in a new one if that is nil. It is no error if another replica was
// faster: the watch brings what that one wrote.
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

// GetCertificate implements [Source].
func (s *selfSigned) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := s.serving.Load(); c != nil {
		return &c.leaf, nil
	}
	if problem := s.problem.Load(); problem != nil {
		return nil, fmt.Errorf("no serving certificate: %w", *problem)
	}
	return nil, errors.New("no serving certificate: it has not been read yet")
}

// Ready implements [Source]. It asks for what the API server asks for: that each caBundle leads to the leaf, that the leaf
// has not expired, and that it is valid for the name under which the webhook is called.
func (s *selfSigned) Ready(r *http.Request) error {
	certificate, err := s.GetCertificate(nil)
	if err != nil {
		return err
	}
	leaf, now := certificate.Leaf, s.Clock.Now()
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("the serving certificate expired at %s", leaf.NotAfter.Format(time.RFC3339))
	}
	for _, object := range s.configurations() {
		if err := s.client.Get(r.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		for _, webhook := range clientConfigs(object) {
			if err := accepts(webhook.ClientConfig, leaf, now); err != nil {
				return fmt.Errorf("webhook %s: %w", webhook.Name, err)
			}
		}
	}
	return nil
}

// accepts returns nil if an API server that calls a webhook through config trusts the leaf.
func accepts(config *admissionv1.WebhookClientConfig, leaf *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.CABundle) {
		return errors.New("its caBundle holds no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, CurrentTime: now}
	if service := config.Service; service != nil {
		options.DNSName = service.Name + "." + service.Namespace + ".svc"
	} else if config.URL != nil {
		u, err := url.Parse(*config.URL)
		if err != nil {
			return err
		}
		options.DNSName = u.Hostname()
	}
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("its caBundle does not accept the serving certificate: %w", err)
	}
	return nil
}
