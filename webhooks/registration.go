package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

const (
	guard, lint = "guard.mooring.dev", "lint.mooring.dev"
	// guardRules is the annotation of the ValidatingWebhookConfiguration with guard's rules.
	guardRules = "mooring.dev/guard-rules"
	// probeName is a StatefulPolicy that lint always refuses. The refusal shows that the API server reaches Mooring.
	probeName = "mooring-reachable"
	// probed is the cause of that refusal.
	probed metav1.CauseType = "Reached"
)

// Registration writes guard's rules. Guard's failure policy is Fail, so in a cluster without a working replica every delete that
// guard judges is refused. The chart therefore installs guard without rules, and the leader adds them once the API server has
// reached a replica through the Service, the network and the certificate.
//
// It also makes Mooring's namespace the owner of the webhook configurations, so that they are deleted with it.
type Registration struct {
	// Client reads the two configurations from a cache, see CachedConfigurations; Live reads the namespace.
	Client client.Client
	Live   client.Reader

	Namespace            string
	Validating, Mutating string
	// Ready must all pass before the API server is asked to call Mooring.
	Ready map[string]healthz.Checker

	waiting string // why guard is not registered yet, as it was logged last
}

// CachedConfigurations returns the objects that a manager's cache must hold for a Registration. It may list no others.
func CachedConfigurations(validating, mutating string) map[client.Object]cache.ByObject {
	named := func(name string) cache.ByObject {
		return cache.ByObject{Field: fieldselector.OneTermEqualSelector(metav1.ObjectNameField, name)}
	}
	return map[client.Object]cache.ByObject{
		&admissionregistrationv1.ValidatingWebhookConfiguration{}: named(validating),
		&admissionregistrationv1.MutatingWebhookConfiguration{}:   named(mutating),
	}
}

// SetupWithManager makes the leader reconcile the configurations whenever they change.
func (r *Registration) SetupWithManager(mgr manager.Manager) error {
	registered.Set(0)
	return ctrl.NewControllerManagedBy(mgr).Named("registration").
		For(&admissionregistrationv1.ValidatingWebhookConfiguration{}).
		Watches(&admissionregistrationv1.MutatingWebhookConfiguration{}, handler.EnqueueRequestsFromMapFunc(
			func(context.Context, client.Object) []ctrl.Request {
				return []ctrl.Request{{NamespacedName: client.ObjectKey{Name: r.Validating}}}
			})).
		Complete(r)
}

// Reconcile takes the configurations one step further.
func (r *Registration) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	switch err := r.Client.Get(ctx, client.ObjectKey{Name: r.Validating}, validating); {
	case apierrors.IsNotFound(err):
		registered.Set(0)
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err
	}
	result, err := r.register(ctx, validating)
	err = errors.Join(err, r.own(ctx, validating))
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{}
	if missing := r.Client.Get(ctx, client.ObjectKey{Name: r.Mutating}, mutating); missing != nil {
		return result, errors.Join(err, client.IgnoreNotFound(missing))
	}
	return result, errors.Join(err, r.own(ctx, mutating))
}

// register copies the rules from the annotation into guard: at once if guard has other rules, otherwise when Mooring can be
// reached.
func (r *Registration) register(ctx context.Context, c *admissionregistrationv1.ValidatingWebhookConfiguration) (ctrl.Result, error) {
	i := slices.IndexFunc(c.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool { return w.Name == guard })
	text, annotated := c.Annotations[guardRules]
	if i < 0 || !annotated {
		registered.Set(0)
		if i >= 0 && len(c.Webhooks[i].Rules) > 0 {
			registered.Set(1)
		}
		return ctrl.Result{}, nil
	}
	var rules []admissionregistrationv1.RuleWithOperations
	if err := yaml.UnmarshalStrict([]byte(text), &rules); err != nil {
		return ctrl.Result{}, fmt.Errorf("ValidatingWebhookConfiguration %s, annotation %s: %w", c.Name, guardRules, err)
	}
	is := c.Webhooks[i].Rules
	if equality.Semantic.DeepEqual(is, rules) {
		registered.Set(1)
		return ctrl.Result{}, nil
	}
	if len(is) == 0 {
		registered.Set(0)
		if err := r.reached(ctx); err != nil {
			if r.waiting != err.Error() {
				r.waiting = err.Error()
				log.FromContext(ctx).Info("guard is not registered yet: deletes and scale-downs are not judged", "reason", r.waiting)
			}
			return ctrl.Result{RequeueAfter: time.Second}, nil
		}
	}
	before := c.DeepCopy()
	c.Webhooks[i].Rules = rules
	if err := r.Client.Patch(ctx, c, client.StrategicMergeFrom(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return ctrl.Result{}, unlessBehind(err)
	}
	registered.Set(1)
	log.FromContext(ctx).Info("guard is registered: deletes and scale-downs are judged")
	return ctrl.Result{}, nil
}

// reached returns an error unless this replica is ready and the API server reaches one. It creates the policy that lint refuses, as
// a dry run. If Mooring does not answer, lint's failure policy allows it.
func (r *Registration) reached(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return err
	}
	for name, check := range r.Ready {
		if err := check(request); err != nil {
			return fmt.Errorf("this replica is not ready: %s: %w", name, err)
		}
	}
	probe := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	probe.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("StatefulPolicy"))
	probe.SetName(probeName)
	err = r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(probe), client.DryRunAll, client.FieldOwner("mooring"), client.ForceOwnership)
	switch {
	case apierrors.HasStatusCause(err, probed):
		return nil
	case err != nil:
		return err
	}
	return errors.New("the API server does not reach the webhook. Fix: check the Service's endpoints, NetworkPolicies, and the firewall between API server and nodes")
}

// judgeProbe returns lint's answer to the probe.
func judgeProbe() *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonConflict,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: probed}}},
		Message: "the name " + probeName + " is reserved: Mooring uses it to test that the API server reaches it",
	}}
}

// own makes the namespace an owner of the configuration, unless a namespace already is.
func (r *Registration) own(ctx context.Context, configuration client.Object) error {
	owners := configuration.GetOwnerReferences()
	if slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool { return o.APIVersion == "v1" && o.Kind == "Namespace" }) {
		return nil
	}
	namespace := &corev1.Namespace{}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: r.Namespace}, namespace); err != nil {
		return err
	}
	patch := client.StrategicMergeFrom(configuration.DeepCopyObject().(client.Object), client.MergeFromWithOptimisticLock{})
	configuration.SetOwnerReferences(append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: namespace.Name, UID: namespace.UID}))
	if err := r.Client.Patch(ctx, configuration, patch); apierrors.IsForbidden(err) {
		// With OwnerReferencesPermissionEnforcement, this requires the right to delete, which Mooring does not have.
		log.FromContext(ctx).Info("cannot make the namespace the owner of the webhook configurations; when you delete the namespace, delete them too", "reason", err.Error())
	} else if err != nil {
		return unlessBehind(err)
	}
	return nil
}

// unlessBehind drops errors caused by a stale cache. The next event triggers another reconcile.
func unlessBehind(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
