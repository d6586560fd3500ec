package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	goruntime "runtime"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/mooring-dev/mooring/audit"
	"github.com/mooring-dev/mooring/certs"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/webhooks"
)

type serveOptions struct {
	webhookAddress, metricsAddress, healthAddress string
	leaderElect, metricsSecure                    bool
	namespace, owners                             string
	defaultProfile, guardFailurePolicy            string
	logLevel                                      string
	drainDelay                                    time.Duration
	certMode, certDir                             string
	callers                                       webhooks.Callers
	certs                                         certs.CertManagerOptions
	scan                                          bool
	scanInterval, scanStuckAfter                  time.Duration
	scanExcluded                                  []string
}

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the admission webhooks",
		Long: `Serve runs the admission webhooks: /mutate fills in defaults, and /validate judges requests. It watches the cluster's StatefulPolicies and
maintains its certificate. It is ready once policies, caches and certificate are. One replica also judges what is in the cluster
already, and writes policy reports and metrics.`,
		Example: `  # In a Pod, as the chart runs it
  mooring serve --leader-elect --default-profile=baseline

  # With a certificate that cert-manager issues
  mooring serve --leader-elect --cert-mode=cert-manager --cert-issuer=ClusterIssuer/internal

  # On this machine, for a cluster that reaches it under https://127.0.0.1:9443
  mooring serve --kubeconfig=$HOME/.kube/config --namespace=mooring-system --webhook-bind-address=127.0.0.1:9443 --cert-extra-name=127.0.0.1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.certs.Namespace = o.namespace; o.namespace == "" {
				return errors.New("the namespace for the certificate and the lease is not set. Fix: set --namespace or POD_NAMESPACE")
			}
			if o.scan && o.scanInterval < time.Second {
				return fmt.Errorf("--scan-interval=%s is less than a second", o.scanInterval)
			}
			if len(o.callers.Names) > 0 && o.callers.CAFile == "" {
				return errors.New("--client-name needs --client-ca-file, to verify the certificate with the name")
			}
			if o.guardFailurePolicy != "Fail" && o.guardFailurePolicy != "Ignore" {
				return fmt.Errorf("--guard-failure-policy=%q is not valid. Fix: use Fail or Ignore", o.guardFailurePolicy)
			}
			log, err := newLogger(o.logLevel)
			if err != nil {
				return err
			}
			return serve(ctrl.SetupSignalHandler(), o, log)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.webhookAddress, "webhook-bind-address", ":9443", "address for reviews")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "address for metrics; 0 turns them off")
	f.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics over TLS, to clients with the verb get on the non-resource URL /metrics")
	f.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address for /healthz and /readyz")
	f.BoolVar(&o.leaderElect, "leader-elect", false, "elect the replica that renews the certificate and scans")
	f.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "Mooring's own namespace")
	f.StringVar(&o.defaultProfile, "default-profile", "baseline", "profile of namespaces that choose none: baseline, restricted or off")
	f.StringVar(&o.guardFailurePolicy, "guard-failure-policy", "Fail", "failurePolicy of guard, Fail or Ignore; with Fail, a client is asked to retry if the cluster cannot be read")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info or error")
	f.DurationVar(&o.drainDelay, "drain-delay", 5*time.Second, "how long to continue serving after SIGTERM")
	f.StringVar(&o.certMode, "cert-mode", "self-signed", "source of the certificate: self-signed, cert-manager or files")
	f.StringVar(&o.certs.Issuer, "cert-issuer", "", "issuer for --cert-mode=cert-manager: Issuer/NAME, ClusterIssuer/NAME or KIND.GROUP/NAME; empty creates a CA for Mooring")
	f.DurationVar(&o.certs.Timeout, "cert-timeout", 5*time.Minute, "how long to wait for the first certificate, for --cert-mode=cert-manager")
	f.DurationVar(&o.certs.LeafValidity, "cert-validity", 90*24*time.Hour, "validity of a certificate; it is renewed when a third is left")
	f.DurationVar(&o.certs.CAValidity, "cert-ca-validity", 365*24*time.Hour, "validity of Mooring's CA; it is renewed when a third is left")
	f.DurationVar(&o.certs.Settle, "cert-settle", time.Minute, "how long to wait until every API server has seen a new CA before serving a certificate of it")
	f.StringVar(&o.certDir, "cert-dir", "", "folder with tls.crt and tls.key, for --cert-mode=files")
	f.StringVar(&o.certs.Secret, "secret-name", "mooring-webhook-cert", "Secret with the certificate that the replicas share")
	f.StringVar(&o.certs.Service, "service-name", "mooring-webhook", "Service under which the API server reaches the webhook")
	f.StringArrayVar(&o.certs.ExtraNames, "cert-extra-name", nil, "additional DNS name or IP address of the certificate; may be repeated")
	f.StringVar(&o.certs.Validating, "validating-webhook-configuration", "mooring", "ValidatingWebhookConfiguration to write the CA into")
	f.StringVar(&o.owners, "owners-webhook-configuration", "mooring-owners", "ValidatingWebhookConfiguration to write the rules into for custom resources that own StatefulSets and claims")
	f.StringVar(&o.certs.Mutating, "mutating-webhook-configuration", "mooring", "MutatingWebhookConfiguration to write the CA into")
	f.BoolVar(&o.scan, "scan", true, "let one replica judge what is in the cluster, and write policy reports and metrics")
	f.DurationVar(&o.scanInterval, "scan-interval", time.Hour, "interval between full scans; changes are judged within seconds")
	f.DurationVar(&o.scanStuckAfter, "scan-stuck-after", 5*time.Minute, "how long a member can be not ready, or a rollout without progress, before it is reported")
	f.StringSliceVar(&o.scanExcluded, "scan-excluded-namespaces", policies.ExcludedNamespaces(), "namespaces that are not scanned, and whose objects do not count when a CustomResourceDefinition is deleted")
	f.StringVar(&o.callers.CAFile, "client-ca-file", "", "PEM file with CAs; answer only clients with a certificate of one of them")
	f.StringArrayVar(&o.callers.Names, "client-name", nil, "common name that this certificate must have; may be repeated")
	f.AddGoFlag(flag.Lookup(config.KubeconfigFlagName))
	registerCompletions(cmd, map[string][]string{
		"default-profile":      {"baseline", "restricted", "off"},
		"guard-failure-policy": {"Fail", "Ignore"},
		"log-level":            {"debug", "info", "error"},
		"cert-mode":            {"self-signed", "cert-manager", "files"},
	})
	return cmd
}

func newLogger(level string) (logr.Logger, error) {
	zapConfig := zap.NewProductionConfig()
	zapConfig.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	// Every refusal must be logged, even if there are many. A failed read is no bug that needs a stack trace.
	zapConfig.Sampling, zapConfig.DisableStacktrace = nil, true
	if err := zapConfig.Level.UnmarshalText([]byte(level)); err != nil {
		return logr.Logger{}, fmt.Errorf("--log-level: %w", err)
	}
	log, err := zapConfig.Build()
	if err != nil {
		return logr.Logger{}, err
	}
	return zapr.NewLogger(log), nil
}

func serve(ctx context.Context, o serveOptions, log logr.Logger) error {
	ctrl.SetLogger(log)
	// The container's limit also covers memory that is not Go's, and the limit can change while the Pod runs.
	if _, err := memlimit.Set(memlimit.WithRefreshInterval(ctx, time.Minute)); err != nil {
		log.Error(err, "cannot read the container's memory limit, so the heap has no limit")
	}
	restConfig, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// As in kube-controller-manager and kube-scheduler: inside a cluster, compression costs the API server more time than it saves.
	restConfig.DisableCompression = true
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	cached := webhooks.Trimmed()
	maps.Copy(cached, webhooks.CachedConfigurations(o.certs.Validating, o.certs.Mutating))
	var source certs.Source
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme:                  scheme,
		Logger:                  log,
		Cache:                   cache.Options{ByObject: cached, DefaultTransform: cache.TransformStripManagedFields()},
		Client:                  client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Pod{}}}},
		Metrics:                 o.metrics(func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return source.GetCertificate(hello) }),
		HealthProbeBindAddress:  o.healthAddress,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        "mooring-leader",
		LeaderElectionNamespace: o.namespace,
		// Release the lease at the end, so that the next leader need not wait until it expires.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	if source, err = certificate(mgr, o); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.webhookAddress)
	if err != nil {
		return fmt.Errorf("--webhook-bind-address: %w", err)
	}
	recorder := mgr.GetEventRecorder("mooring")
	pods, err := cache.New(restConfig, cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: scheme, Mapper: mgr.GetRESTMapper(), ByObject: webhooks.Trimmed(),
	})
	if err != nil {
		return err
	}
	members := webhooks.Members{Cache: pods}
	watched, err := webhooks.Watch(ctx, mgr.GetCache(), members)
	if err != nil {
		return err
	}
	clusters := webhooks.NewClusters(mgr.GetCache(), mgr.GetAPIReader(), watched, mgr.GetClient(), o.scanExcluded...)
	reviewer := webhooks.NewReviewer(clusters, recorder)
	reviewer.AskAgain = o.guardFailurePolicy == "Fail"
	loader := &webhooks.PolicyLoader{Reviewer: reviewer, Cache: mgr.GetCache(), DefaultProfile: o.defaultProfile, Log: log.WithName("policies")}
	server := &webhooks.Server{
		Listener: listener, Handler: reviewer.Handler(log.WithName("reviews")), GetCertificate: source.GetCertificate,
		DrainDelay: o.drainDelay, Log: log.WithName("server"),
	}
	if o.callers.CAFile != "" {
		server.Callers = &o.callers
	}
	if o.scan {
		scanner := &audit.Scanner{
			Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Reports: mgr.GetClient(), DefaultProfile: o.defaultProfile, Excluded: o.scanExcluded,
			Interval: o.scanInterval, StuckAfter: o.scanStuckAfter, Log: log.WithName("scanner"),
		}
		if err := mgr.Add(scanner); err != nil {
			return err
		}
	}
	expiry := &certs.ExpiryWarning{Source: source, Recorder: recorder, Log: log.WithName("certificate"), Regarding: &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: o.certs.Service},
	}}
	status := &webhooks.StatusWriter{Cache: mgr.GetCache(), Client: mgr.GetClient(), Log: log.WithName("status")}
	ready := map[string]healthz.Checker{
		"certificate": source.Ready, "policies": loader.Ready, "caches": cachesReady(watched), "server": server.Ready,
	}
	for name, check := range ready {
		if err := mgr.AddReadyzCheck(name, check); err != nil {
			return err
		}
	}
	if err := metrics.Registry.Register(buildInfo()); err != nil {
		return err
	}
	registration := &webhooks.Registration{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: o.namespace, Ready: ready,
		Validating: o.certs.Validating, Mutating: o.certs.Mutating,
	}
	ownerRegistration := &webhooks.OwnerRegistration{Registration: registration, Owners: o.owners, Clusters: clusters}
	defer server.Wait()
	return errors.Join(
		registration.SetupWithManager(mgr), ownerRegistration.SetupWithManager(mgr),
		mgr.Add(members), mgr.Add(loader), mgr.Add(server), mgr.Add(expiry), mgr.Add(status),
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.Start(ctx),
	)
}

// buildInfo is a metric that is always 1, with the version in its labels.
func buildInfo() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_build_info", Help: "1, with the version that runs.",
		ConstLabels: prometheus.Labels{"version": buildVersion(), "revision": commit(), "goversion": goruntime.Version()},
	})
	info.Set(1)
	return info
}

// metrics configures the metrics server: with authorization and the webhook's certificate by default.
func (o serveOptions) metrics(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) metricsserver.Options {
	if !o.metricsSecure {
		return metricsserver.Options{BindAddress: o.metricsAddress}
	}
	return metricsserver.Options{
		BindAddress: o.metricsAddress, SecureServing: true, FilterProvider: filters.WithAuthenticationAndAuthorization,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.GetCertificate = certificate }},
	}
}

func certificate(mgr ctrl.Manager, o serveOptions) (certs.Source, error) {
	switch o.certMode {
	case "self-signed":
		return certs.SelfSigned(mgr, o.certs.Options)
	case "cert-manager":
		return certs.CertManager(mgr, o.certs)
	case "files":
		if o.certDir == "" {
			return nil, errors.New("--cert-mode=files needs --cert-dir, a folder with tls.crt and tls.key")
		}
		return certs.Files(mgr, o.certDir)
	default:
		return nil, fmt.Errorf("--cert-mode=%q is not valid. Fix: use self-signed, cert-manager or files", o.certMode)
	}
}

// cachesReady is a readiness check: the caches that reviews need have synced. Those of the scanner do not matter.
func cachesReady(watched webhooks.Watched) healthz.Checker {
	return func(*http.Request) error {
		if !watched.Synced() {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}
