package certs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// CertManagerOptions configure [CertManager].
type CertManagerOptions struct {
	Options

	// Issuer signs the certificate: KIND/NAME, such as ClusterIssuer/internal, or KIND.GROUP/NAME for an external issuer. If empty,
	// Mooring creates a CA of its own.
	Issuer string

	// Timeout is how long to wait for the first certificate, by default five minutes. Then the manager stops with an error that
	// says what is missing.
	Timeout time.Duration
}

// ownIssuer is the name of the Issuer, of its CA's Certificate, and of the Secret with that CA.
const ownIssuer = "mooring-ca"

// injectAnnotation makes cert-manager's cainjector write the ca.crt of the Secret NAMESPACE/NAME into the caBundles.
const injectAnnotation = certmanager.WantInjectFromSecretAnnotation

// certManager runs on every replica: it serves cert-manager's certificate once the API server accepts it.
type certManager struct {
	*stored
	issuer  cmmeta.IssuerReference
	own     bool
	timeout time.Duration
	live    client.Client

	// The time since when the caBundles accept the certificate that waits to be served.
	waiting *chain
	since   time.Time
}

// CertManager returns a certificate issued by cert-manager, with a Certificate and a Secret named o.Secret. The leader creates the
// Certificate and, unless one is named, the Issuer, and changes an existing one only where it must. cainjector writes the caBundles
// from a Secret that the leader keeps, o.Secret with the suffix "-ca", to which it adds each new CA. A replica serves a renewed
// certificate once every caBundle has accepted it for o.Settle.
func CertManager(mgr manager.Manager, o CertManagerOptions) (Source, error) {
	issuer, own, err := parseIssuer(o.Issuer)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), admissionv1.AddToScheme(scheme), certmanager.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	certificates := certmanager.SchemeGroupVersion.WithKind(certmanager.CertificateKind)
	if _, err := mgr.GetRESTMapper().RESTMapping(certificates.GroupKind(), certificates.Version); err != nil {
		return nil, fmt.Errorf("the cluster has no Certificate CRD: %w. Fix: install cert-manager, or use --cert-mode=self-signed", err)
	}
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: scheme, HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, err
	}
	certificate := &certmanager.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Secret}}
	base, err := newStored(mgr, scheme, o.Options, o.secret(o.Secret), certificate)
	if err != nil {
		return nil, err
	}
	m := &certManager{
		stored: base, issuer: issuer, own: own, timeout: cmp.Or(o.Timeout, 5*time.Minute),
		live: client.WithFieldOwner(live, "mooring-certs"),
	}
	return m, errors.Join(
		m.control(mgr, "certificate-replica", false, reconcile.Func(m.load)),
		m.control(mgr, "certificate-requester", true, reconcile.Func(m.request)),
		mgr.Add(m),
	)
}

// parseIssuer parses KIND[.GROUP]/NAME. If it is empty, own is true.
func parseIssuer(s string) (issuer cmmeta.IssuerReference, own bool, err error) {
	if s == "" {
		return cmmeta.IssuerReference{Group: certmanager.SchemeGroupVersion.Group, Kind: certmanager.IssuerKind, Name: ownIssuer}, true, nil
	}
	qualified, name, _ := strings.Cut(s, "/")
	kind, group, external := strings.Cut(qualified, ".")
	if !external {
		group = certmanager.SchemeGroupVersion.Group
	}
	known := external || kind == certmanager.IssuerKind || kind == certmanager.ClusterIssuerKind
	if kind == "" || name == "" || group == "" || !known {
		return issuer, false, fmt.Errorf("the issuer %q is not valid. Fix: write Issuer/NAME, ClusterIssuer/NAME or KIND.GROUP/NAME", s)
	}
	return cmmeta.IssuerReference{Group: group, Kind: kind, Name: name}, false, nil
}

// NeedLeaderElection is false: every replica waits for its certificate.
func (*certManager) NeedLeaderElection() bool { return false }

// Start returns an error if there is nothing to serve after the timeout.
func (m *certManager) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-m.Clock.After(m.timeout):
		if _, err := m.GetCertificate(nil); err != nil {
			return fmt.Errorf("waited %s: %w", m.timeout, err)
		}
	}
	return nil
}

// load serves the Secret's certificate: at once if there is nothing better, otherwise when the API server accepts it.
func (m *certManager) load(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	now := m.Clock.Now()
	issued, err := m.issued(ctx, now)
	held := m.serving.Load()
	switch {
	case err != nil && held == nil:
		err = fmt.Errorf("%w; %w", err, m.status(ctx))
		log.FromContext(ctx).Info("There is no certificate yet", "reason", err.Error())
		m.problem.Store(&err)
		return reconcile.Result{RequeueAfter: min(m.Settle, 5*time.Second)}, nil
	case err != nil:
		log.FromContext(ctx).Info("Still serving the previous certificate", "reason", err.Error(), "expires", held.leaf.Leaf.NotAfter)
		return reconcile.Result{}, nil
	case held == nil || held.expired(now) != nil || held.leaf.Leaf.Equal(issued.leaf.Leaf):
		m.waiting = nil
		m.serve(ctx, issued)
		return reconcile.Result{}, nil
	}

	switch err := m.accepted(ctx, &issued.leaf, now); {
	case err != nil:
		log.FromContext(ctx).V(1).Info("The new certificate is not accepted everywhere yet", "reason", err.Error())
		m.waiting = nil
	case m.waiting == nil || !m.waiting.leaf.Leaf.Equal(issued.leaf.Leaf):
		m.waiting, m.since = issued, now
	case now.Sub(m.since) >= m.Settle:
		m.waiting = nil
		m.serve(ctx, issued)
	}
	return reconcile.Result{}, nil
}

// issued returns the Secret's content.
func (m *certManager) issued(ctx context.Context, now time.Time) (*chain, error) {
	secret := &corev1.Secret{}
	if err := m.client.Get(ctx, client.ObjectKey{Namespace: m.Namespace, Name: m.Secret}, secret); err != nil {
		return nil, err
	}
	c, err := parseIssued(secret.Data)
	if err == nil {
		err = c.expired(now)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate Secret %s/%s: %w", m.Namespace, m.Secret, err)
	}
	return c, nil
}

// parseIssued parses a Secret of cert-manager. The error never quotes it.
func parseIssued(data map[string][]byte) (*chain, error) {
	var c chain
	var err error
	if c.leaf, err = tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey]); err != nil {
		return nil, fmt.Errorf("tls.crt and tls.key: %w", err)
	}
	if len(data[cmmeta.TLSCAKey]) == 0 {
		return nil, errors.New("there is no ca.crt, which the API server needs. Fix: use an issuer with its own CA; public issuers provide none")
	}
	if c.cas, err = cert.ParseCertsPEM(data[cmmeta.TLSCAKey]); err != nil {
		return nil, fmt.Errorf("ca.crt: %w", err)
	}
	return &c, nil
}

// request runs on the leader and takes one step towards the right Certificate, Issuer and caBundles. None waits for another, so
// that if someone else manages one of them, the rest still works.
func (m *certManager) request(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	var errs []error
	if m.own {
		for _, o := range m.ownIssuer() {
			errs = append(errs, m.ensure(ctx, o, func() {}))
		}
	}
	certificate := &certmanager.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Secret}}
	errs = append(errs,
		m.ensure(ctx, certificate, func() { m.ask(&certificate.Spec) }),
		m.keepBundle(ctx),
		m.annotate(ctx))
	return reconcile.Result{}, errors.Join(errs...)
}

// ownIssuer returns the objects of a CA for Mooring alone: a self-signed Issuer for the CA, and an Issuer that signs with it.
func (m *certManager) ownIssuer() []client.Object {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: m.Namespace, Name: name} }
	selfSigned := certmanager.IssuerConfig{SelfSigned: &certmanager.SelfSignedIssuer{}}
	signs := certmanager.IssuerConfig{CA: &certmanager.CAIssuer{SecretName: ownIssuer}}
	return []client.Object{
		&certmanager.Issuer{ObjectMeta: meta("mooring-selfsigned"), Spec: certmanager.IssuerSpec{IssuerConfig: selfSigned}},
		&certmanager.Certificate{ObjectMeta: meta(ownIssuer), Spec: certmanager.CertificateSpec{
			IsCA: true, CommonName: "mooring-webhook-ca", SecretName: ownIssuer,
			Duration:   &metav1.Duration{Duration: m.CAValidity},
			PrivateKey: &certmanager.CertificatePrivateKey{Algorithm: certmanager.ECDSAKeyAlgorithm, Size: 256},
			IssuerRef:  cmmeta.IssuerReference{Group: certmanager.SchemeGroupVersion.Group, Kind: certmanager.IssuerKind, Name: "mooring-selfsigned"},
		}},
		&certmanager.Issuer{ObjectMeta: meta(ownIssuer), Spec: certmanager.IssuerSpec{IssuerConfig: signs}},
	}
}

// ask changes a Certificate that does not have the right Secret, issuer and names. Other fields stay.
func (m *certManager) ask(spec *certmanager.CertificateSpec) {
	spec.SecretName, spec.IssuerRef = m.Secret, m.issuer
	if spec.PrivateKey == nil {
		spec.PrivateKey = &certmanager.CertificatePrivateKey{Algorithm: certmanager.ECDSAKeyAlgorithm, Size: 256}
	}
	if spec.Duration == nil {
		spec.Duration = &metav1.Duration{Duration: m.LeafValidity}
	}
	for _, name := range m.names() {
		list := &spec.DNSNames
		if net.ParseIP(name) != nil {
			list = &spec.IPAddresses
		}
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
}

// ensure creates the object, or changes the existing one.
func (m *certManager) ensure(ctx context.Context, object client.Object, change func()) error {
	err := m.live.Get(ctx, client.ObjectKeyFromObject(object), object)
	if apierrors.IsNotFound(err) {
		change()
		return m.say(ctx, "Created", object, m.live.Create(ctx, object))
	}
	if err != nil {
		return err
	}
	before := object.DeepCopyObject().(client.Object)
	change()
	patch := client.MergeFrom(before)
	if data, err := patch.Data(object); err != nil || string(data) == "{}" {
		return err
	}
	return m.say(ctx, "Changed", object, m.live.Patch(ctx, object, patch))
}

func (m *certManager) say(ctx context.Context, did string, object client.Object, err error) error {
	what := fmt.Sprintf("%T %s", object, client.ObjectKeyFromObject(object))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	log.FromContext(ctx).Info(did, "object", what)
	return nil
}

// keepBundle updates the Secret that cainjector reads: the CAs of the issued and of the served certificate, and earlier ones until
// they expire.
func (m *certManager) keepBundle(ctx context.Context) error {
	now := m.Clock.Now()
	issued, err := m.issued(ctx, now)
	if err != nil {
		return nil // load says so; there is nothing to trust yet
	}
	secret := m.secret(m.Secret + "-ca").(*corev1.Secret)
	return m.ensure(ctx, secret, func() {
		cas := issued.unexpired(now)
		if held := m.serving.Load(); held != nil {
			cas = append(cas, held.unexpired(now)...)
		}
		if kept, err := cert.ParseCertsPEM(secret.Data[caCertKey]); err == nil {
			cas = append(cas, (&chain{cas: kept}).unexpired(now)...)
		}
		data, err := bundleOf(cas)
		if err == nil && !bytes.Equal(data, secret.Data[caCertKey]) {
			secret.Data = map[string][]byte{caCertKey: data}
		}
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certmanager.AllowsInjectionFromSecretAnnotation, "true")
	})
}

// annotate makes cainjector manage the caBundles.
func (m *certManager) annotate(ctx context.Context) error {
	for _, object := range m.configurations() {
		if err := m.client.Get(ctx, client.ObjectKeyFromObject(object), object); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return err
		}
		wanted := m.Namespace + "/" + m.Secret + "-ca"
		if object.GetAnnotations()[injectAnnotation] == wanted {
			continue
		}
		patch := client.MergeFrom(object.DeepCopyObject().(client.Object))
		annotations := map[string]string{injectAnnotation: wanted}
		for k, v := range object.GetAnnotations() {
			annotations[k] = cmp.Or(annotations[k], v)
		}
		object.SetAnnotations(annotations)
		if err := m.say(ctx, "Annotated", object, m.live.Patch(ctx, object, patch)); err != nil {
			return err
		}
	}
	return nil
}

// status returns cert-manager's progress as an error, in its own words if possible.
func (m *certManager) status(ctx context.Context) error {
	certificate := &certmanager.Certificate{}
	if err := m.client.Get(ctx, client.ObjectKey{Namespace: m.Namespace, Name: m.Secret}, certificate); err != nil {
		return fmt.Errorf("the leader cannot request it: %w", err)
	}
	if err := m.issuerStatus(ctx, certificate.Spec.IssuerRef); err != nil {
		return err
	}
	message := "cert-manager has not set a condition on it. Fix: check that cert-manager runs"
	for _, c := range certificate.Status.Conditions {
		if c.Type == certmanager.CertificateConditionReady || c.Reason == "Failed" {
			message = c.Message
		}
	}
	return fmt.Errorf("the Certificate %s/%s: %s", m.Namespace, m.Secret, message)
}

// issuerStatus returns an error if the issuer is one of cert-manager's and cannot sign.
func (m *certManager) issuerStatus(ctx context.Context, ref cmmeta.IssuerReference) error {
	var issuer certmanager.GenericIssuer = &certmanager.Issuer{}
	key, name := client.ObjectKey{Namespace: m.Namespace, Name: ref.Name}, fmt.Sprintf("Issuer %s/%s", m.Namespace, ref.Name)
	switch {
	case ref.Group != "" && ref.Group != certmanager.SchemeGroupVersion.Group:
		return nil
	case ref.Kind == certmanager.ClusterIssuerKind:
		issuer, key.Namespace, name = &certmanager.ClusterIssuer{}, "", "ClusterIssuer "+ref.Name
	}
	if err := m.live.Get(ctx, key, issuer); apierrors.IsNotFound(err) {
		return fmt.Errorf("%s does not exist. Fix: create it, or name another with --cert-issuer", name)
	} else if err != nil {
		return err
	}
	for _, c := range issuer.GetStatus().Conditions {
		if c.Type == certmanager.IssuerConditionReady && c.Status != cmmeta.ConditionTrue {
			return fmt.Errorf("%s is not ready: %s", name, c.Message)
		}
	}
	return nil
}
