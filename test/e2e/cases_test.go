package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/ruletest"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// TestCasesOnARealServer plays the rules' own cases on a real API server: the same change must have the same findings. No
// controller runs, so the cluster stays as in the case.
func TestCasesOnARealServer(t *testing.T) {
	in := harness.Install(t, controlplane.Options{
		WithoutControllers: true,
		// No controller creates service accounts for the Pods.
		APIServerArgs: []string{"--disable-admission-plugins=ServiceAccount"},
	}, harness.Options{Args: []string{"--default-profile=off"}})
	admin := newClient(t, in.Kubeconfig, nil)
	// Another administrator makes the change, because the policies exclude the one who sets the stage.
	kubeconfig, err := in.KubeconfigFor("player", "system:masters")
	if err != nil {
		t.Fatal(err)
	}

	heeds := heedsMaxUnavailable(t, admin)
	plays := playsOf(t, func(_ policies.Rule, c ruletest.Case) bool { return playable(c) && (heeds || !aboutMaxUnavailable(c)) })
	for _, p := range plays {
		if err := admin.Create(t.Context(), &p.policy); err != nil {
			t.Fatalf("%s/%s: the API server does not take the policy: %v", p.rule.ID, p.c.Name, err)
		}
	}
	await(t, func() error {
		text, err := harness.Get(t.Context(), in.Metrics+"/metrics")
		if err == nil && !strings.Contains(text, fmt.Sprintf("\nmooring_policies %d\n", len(plays))) {
			err = errors.New("not all policies are in force")
		}
		return err
	})
	for _, p := range plays {
		t.Run(p.rule.ID+"/"+p.c.Name, func(t *testing.T) {
			t.Parallel()
			ch := p.stage(t, admin)
			as := p.as(t, in.ControlPlane, kubeconfig)
			var heard warnings
			player := newClient(t, as, &heard)
			if ch.Operation == admissionv1.Create && len(p.c.Want) > 0 {
				// The webhook's cache sees the other objects slightly later than the API server.
				await(t, func() error {
					var early warnings
					refused, err := perform(t, newClient(t, as, &early), ch, true)
					if err == nil && len(refused)+len(early.said()) == 0 {
						err = errors.New("the request passes without a warning")
					}
					return err
				})
			}
			got, err := perform(t, player, ch, p.c.DryRun)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range heard.said() {
				id, _, ok := strings.Cut(w, ":")
				check, own := strings.CutPrefix(id, p.rule.ID+"/")
				if ok && own && !slices.Contains(got, check) {
					// The refusal of a HorizontalPodAutoscaler is also a warning.
					got = append(got, check+":Warn")
				}
			}
			if diff := cmp.Diff(p.c.Want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// play is a case of a rule with its own namespace and policy.
type play struct {
	rule   policies.Rule
	c      ruletest.Case
	policy v1alpha1.StatefulPolicy
}

// playsOf returns the plays of the wanted cases about requests.
func playsOf(t *testing.T, wanted func(policies.Rule, ruletest.Case) bool) []play {
	t.Helper()
	var plays []play
	if err := ruletest.Each(func(rule policies.Rule, c ruletest.Case) {
		if !wanted(rule, c) {
			return
		}
		built, err := c.Build()
		if err != nil {
			t.Fatal(err)
		}
		p := play{rule, c, built.Policies[0]}
		p.policy.Name = fmt.Sprintf("case-%d", len(plays))
		p.policy.Spec.Match = v1alpha1.Match{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: p.policy.Name}},
			Exclude:           v1alpha1.Exclude{Users: []string{"admin"}},
		}
		plays = append(plays, p)
	}); err != nil {
		t.Fatal(err)
	}
	return plays
}

// stage creates the objects around the case, and returns its change.
func (p play) stage(t *testing.T, admin client.Client) policies.Change {
	t.Helper()
	built, err := p.c.Build()
	if err != nil {
		t.Fatal(err)
	}
	stage(t, admin, p.policy.Name, built.Change, built.Cluster)
	return built.Change
}

// as returns the kubeconfig of the case's user, or the given one.
func (p play) as(t *testing.T, cp *controlplane.ControlPlane, otherwise string) string {
	t.Helper()
	if p.c.User == "" {
		return otherwise
	}
	kubeconfig, err := cp.KubeconfigFor(p.c.User, "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// playable reports whether a server can play the case: not if it is about files, as those of Deployments are, nor if it needs its
// own storage class or node, which all cases would share.
func playable(c ruletest.Case) bool {
	switch text := fmt.Sprint(c.Given, c.Old, c.New); {
	case strings.Contains(text, "Recreate"):
		// The server does not have this alpha feature.
		return false
	case strings.Contains(text, "Unused"):
		// The case's time is not the server's.
		return false
	case c.Old["kind"] == kinds.PersistentVolumeClaim.Kind && strings.Contains(text, "ownerReferences"),
		c.Old["kind"] == kinds.Pod.Kind && c.New != nil:
		// The server sets the owner's UID.
		return false
	}
	if strings.Contains(fmt.Sprint(c.Given), "uid:") {
		// The server sets the object's UID.
		return false
	}
	if going := fmt.Sprint(c.Given); strings.Contains(going, "kind:Namespace") && strings.Contains(going, "deletionTimestamp") {
		// Nothing can be created in a Terminating namespace.
		return false
	}
	if play, err := c.Build(); err != nil || slices.ContainsFunc(append(play.Cluster.Objects, play.Change.Object()), func(o kinds.Object) bool {
		// All cases would share it, or the server does not know it.
		return slices.Contains([]*kinds.Kind{
			kinds.Node, kinds.StorageClass, kinds.PriorityClass, kinds.CustomResource, kinds.CustomResourceDefinition,
		}, kinds.Of(o))
	}) {
		return false
	}
	return !c.InFiles && !c.About(kinds.Deployment) && !slices.ContainsFunc(append([]ruletest.Manifest{c.Old, c.New}, c.Given...), func(m ruletest.Manifest) bool {
		// Volumes are cluster-scoped: only one case can have the ordinary one.
		return m["kind"] == "PersistentVolume" && len(m) > 1
	})
}

// heedsMaxUnavailable reports whether the server stores rollingUpdate.maxUnavailable, which Kubernetes before 1.35 drops.
func heedsMaxUnavailable(t *testing.T, admin client.Client) bool {
	t.Helper()
	o, err := ruletest.Object("kind: StatefulSet")
	if err != nil {
		t.Fatal(err)
	}
	set := o.(*appsv1.StatefulSet)
	set.Namespace = "default"
	if err := admin.Create(t.Context(), set, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	return set.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable != nil
}

// aboutMaxUnavailable reports whether the findings depend on maxUnavailable, as for a rollout of Pods managed in parallel: without
// it, the rollout takes the next Pod whoever is down.
func aboutMaxUnavailable(c ruletest.Case) bool {
	text := fmt.Sprint(c.New)
	return strings.Contains(text, "maxUnavailable") || strings.Contains(text, "podManagementPolicy:Parallel")
}

// stage creates the namespace, the given objects, and the object before the change.
func stage(t *testing.T, admin client.Client, namespace string, ch policies.Change, around policies.Snapshot) {
	t.Helper()
	all := around.Objects
	if ch.Old != nil {
		// A deleted object may also be among the objects around it.
		all = append(slices.DeleteFunc(all, func(o kinds.Object) bool {
			return kinds.Of(o) == kinds.Of(ch.Old) && o.GetName() == ch.Old.GetName()
		}), ch.Old)
	}
	var namespaced kinds.Object = &corev1.Namespace{}
	if i := slices.IndexFunc(all, isNamespace); i >= 0 {
		namespaced = all[i]
		all = slices.Delete(all, i, i+1)
	}
	namespaced.SetName(namespace)
	if err := admin.Create(t.Context(), namespaced.(client.Object)); err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		create(t, admin, namespace, o)
	}
	if ch.New != nil {
		ch.New.SetNamespace(namespace)
	}
	if pod, ok := ch.New.(*corev1.Pod); ok && ch.Old != nil {
		// The server sets it and does not allow changes.
		pod.Spec = ch.Old.(*corev1.Pod).Spec
	}
}

func isNamespace(o kinds.Object) bool {
	_, is := o.(*corev1.Namespace)
	return is
}

func create(t *testing.T, admin client.Client, namespace string, o kinds.Object) {
	t.Helper()
	o.SetNamespace(namespace)
	generation := o.GetGeneration()
	wanted := o.DeepCopyObject().(client.Object)
	if pod, ok := o.(*corev1.Pod); ok {
		pod.Spec.Containers = []corev1.Container{{Name: "db", Image: "example/db"}}
	}
	if claim, ok := o.(*corev1.PersistentVolumeClaim); ok && claim.Spec.AccessModes == nil {
		claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	}
	var options []client.CreateOption
	if fields := o.GetManagedFields(); len(fields) > 0 {
		// The server writes them for the creator of the object.
		options = append(options, client.FieldOwner(fields[0].Manager))
		o.SetManagedFields(nil)
	}
	if err := admin.Create(t.Context(), o.(client.Object), options...); err != nil {
		t.Fatal(err)
	}
	if wanted.GetDeletionTimestamp() != nil {
		if err := errors.Join(admin.Delete(t.Context(), o.(client.Object)), admin.Get(t.Context(), client.ObjectKeyFromObject(wanted), o.(client.Object))); err != nil {
			t.Fatal(err)
		}
	}
	switch o := o.(type) {
	case *corev1.Pod:
		o.Status = wanted.(*corev1.Pod).Status
	case *corev1.PersistentVolumeClaim:
		// Nothing binds it here, and an unbound claim holds no data.
		o.Status = wanted.(*corev1.PersistentVolumeClaim).Status
		if o.Status.Phase == "" {
			o.Status.Phase = corev1.ClaimBound
		}
	case *corev1.ResourceQuota:
		o.Status = wanted.(*corev1.ResourceQuota).Status
	case *appsv1.StatefulSet:
		// The case has its own generations; the server starts at 1.
		o.Status = wanted.(*appsv1.StatefulSet).Status
		o.Status.ObservedGeneration += o.Generation - generation
	default:
		return
	}
	if err := admin.Status().Update(t.Context(), o.(client.Object)); err != nil {
		t.Fatal(err)
	}
}

// perform makes the change, and returns the checks that refuse it.
func perform(t *testing.T, player client.Client, ch policies.Change, dryRun bool) ([]string, error) {
	t.Helper()
	err := request(t, player, ch, dryRun)
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !strings.Contains(err.Error(), "denied the request") {
		return nil, err
	}
	var checks []string
	for _, cause := range status.Status().Details.Causes {
		_, check, _ := strings.Cut(string(cause.Type), "/")
		checks = append(checks, check)
	}
	return checks, nil
}

// request makes the change.
func request(t *testing.T, player client.Client, ch policies.Change, dryRun bool) error {
	t.Helper()
	if dryRun {
		player = client.NewDryRunClient(player)
	}
	switch ch.Operation {
	case admissionv1.Create:
		return player.Create(t.Context(), ch.New.(client.Object))
	case admissionv1.Delete:
		var options client.DeleteOptions
		if ch.DeleteOptions != nil {
			options.GracePeriodSeconds, options.PropagationPolicy = ch.DeleteOptions.GracePeriodSeconds, ch.DeleteOptions.PropagationPolicy
		}
		return player.Delete(t.Context(), ch.Old.(client.Object), &options)
	}
	o := ch.New.(client.Object)
	o.SetResourceVersion(ch.Old.GetResourceVersion())
	return player.Update(t.Context(), o)
}

// warnings collects the API server's warnings.
type warnings struct {
	sync.Mutex
	all []string
}

// HandleWarningHeaderWithContext is called by client-go for each warning.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.Lock()
	defer w.Unlock()
	w.all = append(w.all, text)
}

func (w *warnings) said() []string {
	w.Lock()
	defer w.Unlock()
	return w.all
}

func newClient(t *testing.T, kubeconfig string, heard *warnings) client.Client {
	t.Helper()
	config := restConfig(t, kubeconfig)
	if heard != nil {
		config.WarningHandlerWithContext = heard
	}
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), v1alpha1.AddToScheme(types)); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: types})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
