package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	appsv1client "k8s.io/client-go/kubernetes/typed/apps/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/test/harness"
)

// The compared namespaces, one for each way to judge requests.
const (
	plain   = "bench-plain"
	floor   = "bench-noop"
	mooring = "bench-mooring"
	vap     = "bench-native"
)

var ways = []struct{ namespace, name, profile string }{
	{plain, "nothing", "off"},
	{floor, "no-op webhook", "off"},
	{mooring, "Mooring, baseline", "baseline"},
	{vap, "ValidatingAdmissionPolicy, baseline", "baseline"},
}

// apiserver sends the API server dry-run creates and updates, in turn.
func (b *bench) apiserver(ctx context.Context) error {
	client, err := b.clients()
	if err != nil {
		return err
	}
	for _, way := range ways {
		if _, err := b.Apply(ctx, strings.NewReplacer("NAMESPACE", way.namespace, "PROFILE", way.profile).Replace(around)); err != nil {
			return err
		}
	}
	stop, err := b.registerNoop(ctx, client)
	if err != nil {
		return err
	}
	defer stop()
	if err := await(ctx, "Mooring to be called", func() error { return b.refused(ctx, client, mooring) }); err != nil {
		return err
	}
	if err := b.registerNative(ctx, client); err != nil {
		return err
	}
	set := &appsv1.StatefulSet{}
	if err := recordedObject("database-create", set); err != nil {
		return err
	}
	set.ObjectMeta = metav1.ObjectMeta{Name: "orders", Labels: set.Labels, Annotations: set.Annotations}
	stored := map[string]*appsv1.StatefulSet{}
	for _, way := range ways {
		if stored[way.namespace], err = storeHealthy(ctx, client.AppsV1().StatefulSets(way.namespace), set); err != nil {
			return err
		}
	}
	update := func(change func(*appsv1.StatefulSetSpec)) func(string, int) error {
		return func(namespace string, _ int) error {
			set := stored[namespace].DeepCopy()
			change(&set.Spec)
			_, err := client.AppsV1().StatefulSets(namespace).Update(ctx, set, metav1.UpdateOptions{DryRun: dry})
			return err
		}
	}
	for _, operation := range []struct {
		name string
		do   func(namespace string, i int) error
	}{
		{"create", func(namespace string, i int) error {
			one := set.DeepCopy()
			one.Name = fmt.Sprintf("orders-%d", i)
			_, err := client.AppsV1().StatefulSets(namespace).Create(ctx, one, metav1.CreateOptions{DryRun: dry})
			return err
		}},
		{"update", update(func(spec *appsv1.StatefulSetSpec) { spec.UpdateStrategy.RollingUpdate.Partition = ptr.To[int32](1) })},
		{"update of the template", update(func(spec *appsv1.StatefulSetSpec) { spec.Template.Spec.Containers[0].Image += "-1" })},
	} {
		medians, tails := make([]figures, len(ways)), make([]figures, len(ways))
		for range b.rounds {
			took := make([][]time.Duration, len(ways))
			for i := range b.objects {
				for turn := range ways {
					at := (i + turn) % len(ways)
					start := time.Now()
					if err := operation.do(ways[at].namespace, i); err != nil {
						return fmt.Errorf("%s in %s: %w", operation.name, ways[at].namespace, err)
					}
					took[at] = append(took[at], time.Since(start))
				}
			}
			for at := range ways {
				slices.Sort(took[at])
				medians[at] = append(medians[at], percentile(took[at], .5))
				tails[at] = append(tails[at], percentile(took[at], .99))
			}
		}
		b.aim("API server: StatefulSet "+operation.name+", of the median with the no-op", medians[2].over(medians[1]), atMost, 1.1, "%.2f")
		rows := [][]string{{"judged by", "median ms", "p99 ms", "median of the no-op's", "of nothing's"}}
		for at, way := range ways {
			rows = append(rows, []string{
				way.name, fmt.Sprintf("%.2f", medians[at].median()), fmt.Sprintf("%.2f", tails[at].median()),
				medians[at].over(medians[1]).spread("%.2f"), medians[at].over(medians[0]).spread("%.2f"),
			})
		}
		b.table("Through the API server: StatefulSet "+operation.name, fmt.Sprintf("%d server-side dry runs each, one at a time and in turns. "+
			"The API server calls the no-op as often as Mooring: once for defaults, once for validation. The ValidatingAdmissionPolicies are those of mooring export --vap, "+
			"which judge only the request.", b.objects), rows)
	}
	return nil
}

// storeHealthy creates a StatefulSet with the status that its controller would write once every Pod is ready.
func storeHealthy(ctx context.Context, sets appsv1client.StatefulSetInterface, set *appsv1.StatefulSet) (*appsv1.StatefulSet, error) {
	stored, err := sets.Create(ctx, set, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	all := *stored.Spec.Replicas
	stored.Status = appsv1.StatefulSetStatus{ObservedGeneration: stored.Generation, Replicas: all, ReadyReplicas: all, UpdatedReplicas: all, CurrentReplicas: all}
	return sets.UpdateStatus(ctx, stored, metav1.UpdateOptions{})
}

func (b *bench) clients() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", b.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}

// registerNoop starts the no-op webhook and registers it like Mooring, for its own namespace.
func (b *bench) registerNoop(ctx context.Context, client kubernetes.Interface) (func(), error) {
	webhook, stop, err := startNoop(ctx)
	if err != nil {
		return nil, err
	}
	certificate, err := selfSigned()
	if err != nil {
		return stop, err
	}
	at := admissionregistrationv1.WebhookClientConfig{
		URL: &webhook.url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
	}
	only := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: floor}}
	api := client.AdmissionregistrationV1()
	mutating, err1 := api.MutatingWebhookConfigurations().Get(ctx, "mooring", metav1.GetOptions{})
	validating, err2 := api.ValidatingWebhookConfigurations().Get(ctx, "mooring", metav1.GetOptions{})
	if err := errors.Join(err1, err2); err != nil {
		return stop, err
	}
	mutating.ObjectMeta, validating.ObjectMeta = metav1.ObjectMeta{Name: "noop"}, metav1.ObjectMeta{Name: "noop"}
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig, mutating.Webhooks[i].NamespaceSelector = at, only
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig, validating.Webhooks[i].NamespaceSelector = at, only
	}
	_, err1 = api.MutatingWebhookConfigurations().Create(ctx, mutating, metav1.CreateOptions{})
	_, err2 = api.ValidatingWebhookConfigurations().Create(ctx, validating, metav1.CreateOptions{})
	if err := errors.Join(err1, err2); err != nil {
		return stop, err
	}
	return stop, await(ctx, "the no-op to be called to fill in and to judge", func() error {
		if err := b.try(ctx, client, floor); err != nil {
			return err
		}
		answered, err := harness.Get(ctx, webhook.url)
		if n, _ := strconv.Atoi(answered); err == nil && n < 2 {
			err = fmt.Errorf("it has answered %d reviews", n)
		}
		return err
	})
}

// registerNative makes the API server judge its namespace itself.
func (b *bench) registerNative(ctx context.Context, client kubernetes.Interface) error {
	policies, err := b.Mooring(ctx, "export", "--vap", "--profile=baseline").Output()
	if err != nil {
		return fmt.Errorf("mooring export: %w", err)
	}
	if _, err := b.Apply(ctx, string(policies)); err != nil {
		return err
	}
	// They apply to every namespace of the profile, including the one that Mooring judges.
	only := metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: []string{vap}}
	api := client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	bindings, err := api.List(ctx, metav1.ListOptions{LabelSelector: "mooring.dev/exported-profile=baseline"})
	if err != nil {
		return err
	}
	for _, binding := range bindings.Items {
		selector := binding.Spec.MatchResources.NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions, only)
		if _, err := api.Update(ctx, &binding, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return await(ctx, "the ValidatingAdmissionPolicies to be in force", func() error { return b.refused(ctx, client, vap) })
}

// refused returns an error unless the namespace refuses what baseline refuses.
func (b *bench) refused(ctx context.Context, client kubernetes.Interface, namespace string) error {
	switch err := b.try(ctx, client, namespace); {
	case err == nil:
		return errors.New("a Pod that is given no time to stop is let through")
	case !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err):
		return err
	default:
		return nil
	}
}

// try creates a StatefulSet that baseline refuses, as a dry run.
func (b *bench) try(ctx context.Context, client kubernetes.Interface, namespace string) error {
	set := &appsv1.StatefulSet{}
	if err := recordedObject("database-create", set); err != nil {
		return err
	}
	var none int64
	set.ObjectMeta = metav1.ObjectMeta{Name: "try"}
	set.Spec.Template.Spec.TerminationGracePeriodSeconds = &none
	_, err := client.AppsV1().StatefulSets(namespace).Create(ctx, set, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// recordedObject reads the object of a recorded review.
func recordedObject(name string, into any) error {
	data, err := recording(name)
	if err != nil {
		return err
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(data, &review); err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(review.Request.Object.Raw)).Decode(into)
}

func await(ctx context.Context, what string, condition func() error) error {
	if err := harness.Await(ctx, func(context.Context) error { return condition() }); err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}
