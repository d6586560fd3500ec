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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
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

// Options configure [SelfSigned] and [CertManager]: what to certify and where to store it.
type Options struct {
	Namespace string // of the Secret and the Service
	Secret    string // name of the Secret; it need not exist

	// The leaf is valid for the DNS names of Service, unless that is empty, and for the DNS names and IP addresses in ExtraNames. A
	// webhook registered by URL needs the URL's host here.
	Service    string
	ExtraNames []string

	// Validating and Mutating are the configurations whose caBundles are managed, in all their webhooks. Empty means none.
	Validating, Mutating string

	// CAValidity and LeafValidity are the validity of a new CA and a new leaf, by default 365 and 90 days. They are renewed in the
	// last third. The CA's must not be shorter.
	CAValidity, LeafValidity time.Duration

	// Settle is how long an API server can take to see a changed caBundle, by default one minute. A leaf of a new CA is not served
	// earlier. It must be less than a third of LeafValidity.
	Settle time.Duration

	// Clock defaults to the real clock.
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
		return errors.New("the certificate needs a Service or a DNS name")
	case o.LeafValidity > o.CAValidity:
		return errors.New("the certificate's validity must not exceed that of its CA")
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

// configurations returns empty objects with the names of the webhook configurations.
func (o *Options) configurations() (objects []client.Object) {
	if o.Validating != "" {
		objects = append(objects, &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: o.Validating}})
	}
	if o.Mutating != "" {
		objects = append(objects, &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: o.Mutating}})
	}
	return objects
}

// secret returns an empty Secret with this name.
func (o *Options) secret(name string) client.Object {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: name}}
}

// stored is a certificate that is stored in a Secret and served from memory.
type stored struct {
	Options
	watched []client.Object // empty, with the names of what view holds
	view    cache.Cache
	client  client.Client         // reads from view
	serving atomic.Pointer[chain] // the last good content of the Secret
	problem atomic.Pointer[error] // why the Secret cannot be served
}

// newStored prepares a view of the webhook configurations and of these objects in the namespace only: the manager's cache would
// read all Secrets.
func newStored(mgr manager.Manager, scheme *runtime.Scheme, o Options, objects ...client.Object) (*stored, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &stored{Options: o, watched: append(o.configurations(), objects...)}
	selected := map[client.Object]cache.ByObject{}
	for _, object := range s.watched {
		by := cache.ByObject{Field: fields.OneTermEqualSelector(metav1.ObjectNameField, object.GetName())}
		if object.GetNamespace() != "" {
			by = cache.ByObject{Namespaces: map[string]cache.Config{object.GetNamespace(): {FieldSelector: by.Field}}}
		}
		selected[object] = by
	}
	view, err := cluster.New(mgr.GetConfig(), func(c *cluster.Options) {
		c.Scheme = scheme
		c.Cache.ByObject = selected
		c.Logger = mgr.GetLogger()
		c.Client.FieldOwner = "mooring-certs"
	})
	if err != nil {
		return nil, err
	}
	s.view, s.client = view.GetCache(), view.GetClient()
	return s, mgr.Add(view)
}

// control calls r at the start, whenever a named object changes, and periodically, never concurrently.
func (s *stored) control(mgr manager.Manager, name string, leader bool, r reconcile.Func) error {
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
	for _, object := range s.watched {
		if err := ctrl.Watch(source.Kind(s.view, object, enqueue)); err != nil {
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

// serve serves c from now on.
func (s *stored) serve(ctx context.Context, c *chain) {
	if held := s.serving.Swap(c); held == nil || !held.leaf.Leaf.Equal(c.leaf.Leaf) {
		log.FromContext(ctx).Info("Serving a certificate", "expires", c.leaf.Leaf.NotAfter)
	}
	setExpiry("leaf", c.leaf.Leaf)
	if ca := c.issuer(); ca != nil {
		setExpiry("ca", ca)
	}
}

// GetCertificate implements [Source].
func (s *stored) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := s.serving.Load(); c != nil {
		return &c.leaf, nil
	}
	if problem := s.problem.Load(); problem != nil {
		return nil, fmt.Errorf("no serving certificate: %w", *problem)
	}
	return nil, errors.New("no serving certificate: it has not been read yet")
}

// Ready implements [Source]. It checks what the API server checks: each caBundle trusts the leaf, the leaf has not expired, and it
// is valid for the name in the webhook's URL.
func (s *stored) Ready(r *http.Request) error {
	certificate, err := s.GetCertificate(nil)
	if err != nil {
		return err
	}
	leaf, now := certificate.Leaf, s.Clock.Now()
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("the serving certificate expired at %s", leaf.NotAfter.Format(time.RFC3339))
	}
	return s.accepted(r.Context(), certificate, now)
}

// accepted returns nil if every webhook's caBundle trusts the certificate.
func (s *stored) accepted(ctx context.Context, certificate *tls.Certificate, now time.Time) error {
	for _, object := range s.configurations() {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		for _, webhook := range clientConfigs(object) {
			if err := accepts(webhook.ClientConfig, certificate, now); err != nil {
				return fmt.Errorf("webhook %s: %w", webhook.Name, err)
			}
		}
	}
	return nil
}

// accepts returns nil if an API server that calls a webhook through config trusts the certificate with its intermediates.
func accepts(config *admissionv1.WebhookClientConfig, certificate *tls.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.CABundle) {
		return errors.New("its caBundle holds no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, der := range certificate.Certificate[1:] {
		intermediate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		options.Intermediates.AddCert(intermediate)
	}
	if service := config.Service; service != nil {
		options.DNSName = service.Name + "." + service.Namespace + ".svc"
	} else if config.URL != nil {
		u, err := url.Parse(*config.URL)
		if err != nil {
			return err
		}
		options.DNSName = u.Hostname()
	}
	if _, err := certificate.Leaf.Verify(options); err != nil {
		return fmt.Errorf("its caBundle does not accept the serving certificate: %w", err)
	}
	return nil
}
