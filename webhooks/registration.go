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
	// guardRules is the annotation of the ValidatingWebhookConfiguration that holds the rules guard is to have.
	guardRules = "mooring.dev/guard-rules"
	// probeName is the StatefulPolicy that lint refuses to anybody, and by which Mooring learns that the API server reaches it.
	probeName = "mooring-reachable"
	// probed is the cause of that refusal.
	probed metav1.CauseType = "Reached"
)

// Registration gives guard its rules. Guard's failure policy is Fail, so that a cluster in which no replica can answer would
// refuse every delete that guard is asked about. The chart therefore installs guard without rules, which calls nobody, and
// the leader writes them once the API server has reached a replica through the Service, its network and its certificate.
//
// It also makes Mooring's namespace the owner of the webhook configurations, so that they go with it.
type Registration struct {
	// Client reads the two configurations from a cache that holds them, see CachedConfigurations; Live reads the namespace.
	Client client.Client
	Live   client.Reader

	Namespace            string
	Validating, Mutating string
	// Ready must all pass before the API server is asked to call.
	Ready map[string]healthz.Checker

	waiting string // why guard is not registered yet, as it was logged last
}

// CachedConfigurations is what a manager's cache must hold for a Registration, and all that it may list.
func CachedConfigurations(validating, mutating string) map[client.Object]cache.ByObject {
	named := func(name string) cache.ByObject {
		return cache.ByObject{Field: fieldselector.OneTermEqualSelector(metav1.ObjectNameField, name)}
	}
	return map[client.Object]cache.ByObject{
		&admissionregistrationv1.ValidatingWebhookConfiguration{}: named(validating),
		&admissionregistrationv1.MutatingWebhookConfiguration{}:   named(mutating),
	}
}

// SetupWithManager has the leader reconcile the configurations whenever they change.
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

// register writes the rules that the annotation holds into guard: at once where it has others, else when it can be called.
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

// reached returns an error unless this replica is ready and the API server reaches one: it dry-runs the policy that lint
// refuses. Lint's failure policy lets it pass where nobody answers.
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

// judgeProbe is lint's answer to the probe.
func judgeProbe() *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonConflict,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: probed}}},
		Message: "the name " + probeName + " is reserved: Mooring uses it to test that the API server reaches it",
	}}
}

// own makes the namespace an owner of the configuration, where no namespace is one.
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
		// Where OwnerReferencesPermissionEnforcement is on, this takes the right to delete, which Mooring does not have.
		log.FromContext(ctx).Info("cannot make the namespace the owner of the webhook configurations; when you delete the namespace, delete them too", "reason", err.Error())
	} else if err != nil {
		return unlessBehind(err)
	}
	return nil
}

// unlessBehind drops an error that comes of a cache that is behind. What it has not seen yet wakes us up.
func unlessBehind(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
