package deploy

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// oldest is the first Kubernetes version that the chart supports.
var oldest = version.MajorMinor(1, 30)

// request is a request for which the API server may call webhooks.
type request struct {
	user     string
	old, new runtime.Object
	// grace is the grace period of a delete, in seconds.
	grace int64
}

func TestConditions(t *testing.T) {
	const (
		collector  = "system:serviceaccount:kube-system:generic-garbage-collector"
		namespaces = "system:serviceaccount:kube-system:namespace-controller"
		sets       = "system:serviceaccount:kube-system:statefulset-controller"
		protection = "system:serviceaccount:kube-system:pvc-protection-controller"
		manager    = "system:kube-controller-manager"
	)
	written := []string{"defaults.mooring.dev", "lint.mooring.dev"}
	shrunk := []string{"defaults.mooring.dev", "guard.mooring.dev"}
	lint := []string{"lint.mooring.dev"}
	guard := []string{"guard.mooring.dev"}

	for _, c := range []struct {
		name string
		request
		want []string
	}{
		// StatefulSets.
		{"create", request{new: statefulSet()}, written},
		{"rollout restart", request{old: statefulSet(), new: statefulSet(restarted)}, written},
		{"scale up by apply", request{old: statefulSet(replicas(3)), new: statefulSet(replicas(5))}, written},
		{"scale up from the default", request{old: statefulSet(), new: statefulSet(replicas(3))}, written},
		{"scale down by apply", request{old: statefulSet(replicas(3)), new: statefulSet(replicas(2))}, shrunk},
		{"scale down to the default", request{old: statefulSet(replicas(3)), new: statefulSet()}, shrunk},
		{"scale to zero by apply", request{old: statefulSet(replicas(3)), new: statefulSet(replicas(0))}, shrunk},
		{"scale down with a new template", request{old: statefulSet(replicas(3)), new: statefulSet(replicas(2), restarted)}, shrunk},
		{"ordinals absent, then 0", request{old: statefulSet(), new: statefulSet(start(0))}, written},
		{"ordinals absent, then 2", request{old: statefulSet(), new: statefulSet(start(2))}, shrunk},
		{"ordinals 2, then absent", request{old: statefulSet(start(2)), new: statefulSet()}, shrunk},
		{"ordinals shift while scaling up", request{old: statefulSet(), new: statefulSet(start(1), replicas(5))}, shrunk},
		{"a StatefulSet gets an owner", request{old: statefulSet(), new: statefulSet(owned)}, guard},
		{"a StatefulSet keeps its owner", request{old: statefulSet(owned), new: statefulSet(owned)}, nil},
		{"a StatefulSet loses its owner", request{old: statefulSet(owned), new: statefulSet()}, nil},
		{"label only", request{old: statefulSet(), new: statefulSet(labeled)}, nil},
		{"no change", request{old: statefulSet(), new: statefulSet()}, nil},
		{"delete", request{old: statefulSet()}, guard},
		{"garbage collector deletes a StatefulSet", request{user: collector, old: statefulSet()}, nil},

		// Claims and volumes.
		{"StatefulSet controller creates a claim", request{user: sets, new: &corev1.PersistentVolumeClaim{}}, nil},
		{"user creates a claim", request{new: &corev1.PersistentVolumeClaim{}}, lint},
		{"binder updates a claim", request{old: &corev1.PersistentVolumeClaim{}, new: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}}}, nil},
		{"user deletes a claim", request{old: &corev1.PersistentVolumeClaim{}}, guard},
		{"user deletes a claim that was never bound", request{old: claim(pending)}, nil},
		{"user deletes a protected claim that was never bound", request{old: claim(pending, kept)}, guard},
		{"StatefulSet controller deletes a claim", request{user: sets, old: &corev1.PersistentVolumeClaim{}}, nil},
		{"binder updates a Terminating claim", request{old: claim(going, protected), new: claim(going, protected, labeledClaim)}, nil},
		{"user adds an owner to a claim", request{old: claim(), new: claim(ownedClaim)}, guard},
		{"StatefulSet controller adds an owner to a claim", request{user: sets, old: claim(), new: claim(ownedClaim)}, nil},
		{"user removes the finalizer from a claim", request{old: claim(protected), new: claim()}, nil},
		{"user removes the finalizer from a Terminating claim", request{old: claim(going, protected), new: claim(going)}, guard},
		{"user removes another finalizer from a Terminating claim", request{old: claim(going), new: claim(going)}, nil},
		{"protection controller removes the finalizer from a Terminating claim", request{user: protection, old: claim(going, protected), new: claim(going)}, nil},
		{"user deletes a bound volume", request{old: volume(corev1.VolumeBound)}, guard},
		{"provisioner deletes a released volume", request{old: volume(corev1.VolumeReleased)}, nil},
		{"provisioner deletes a volume without a status", request{old: volume("")}, nil},
		{"provisioner creates a volume for a claim", request{new: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{}}}}, []string{"defaults.mooring.dev"}},
		{"user creates a volume", request{new: &corev1.PersistentVolume{}}, nil},
		{"the reclaim policy of a volume becomes Delete", request{old: reclaimed(corev1.PersistentVolumeReclaimRetain), new: reclaimed(corev1.PersistentVolumeReclaimDelete)}, lint},
		{"the reclaim policy of a volume becomes Retain", request{old: reclaimed(corev1.PersistentVolumeReclaimDelete), new: reclaimed(corev1.PersistentVolumeReclaimRetain)}, nil},
		{"a volume is bound", request{old: volume(corev1.VolumeAvailable), new: claimed(corev1.VolumeAvailable)}, nil},
		{"removing claimRef from a bound volume", request{old: claimed(corev1.VolumeBound), new: volume(corev1.VolumeBound)}, lint},
		{"removing claimRef from a released volume", request{old: claimed(corev1.VolumeReleased), new: volume(corev1.VolumeReleased)}, nil},
		{"user deletes a Secret", request{old: &corev1.Secret{}}, lint},
		{"Helm deletes a release revision", request{old: &corev1.Secret{Type: "helm.sh/release.v1"}}, nil},
		// Nodes.
		{"a ready node is deleted", request{old: node(ready)}, lint},
		{"a node that is not ready is deleted", request{old: node()}, nil},
		{"Karpenter deletes a node", request{old: node(ready, finalized)}, nil},
		{"the node controller deletes a node", request{user: "system:serviceaccount:kube-system:node-controller", old: node(ready)}, nil},
		{"a node gets a NoExecute taint", request{old: node(), new: node(tainted(corev1.TaintEffectNoExecute))}, lint},
		{"a node keeps a NoExecute taint", request{old: node(tainted(corev1.TaintEffectNoExecute)), new: node(ready, tainted(corev1.TaintEffectNoExecute))}, nil},
		{"a node is cordoned", request{old: node(), new: node(tainted(corev1.TaintEffectNoSchedule))}, nil},
		{"a node becomes ready", request{old: node(), new: node(ready)}, nil},
		{"the node controller taints a node", request{user: "system:serviceaccount:kube-system:node-controller", old: node(), new: node(tainted(corev1.TaintEffectNoExecute))}, nil},
		{"user deletes a VolumeAttachment", request{old: &storagev1.VolumeAttachment{}}, lint},
		{"the controller detaches a volume", request{user: "system:serviceaccount:kube-system:attachdetach-controller", old: &storagev1.VolumeAttachment{}}, nil},

		// Budgets and quotas.
		{"user creates a budget", request{new: &policyv1.PodDisruptionBudget{}}, lint},
		{"user deletes a budget", request{old: &policyv1.PodDisruptionBudget{}}, lint},
		{"user changes only the labels of a budget", request{old: &policyv1.PodDisruptionBudget{}, new: &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}}}, nil},
		{"user creates a quota", request{new: &corev1.ResourceQuota{}}, lint},
		{"user lowers a quota", request{old: quota("3"), new: quota("2")}, lint},
		{"user does not change the limits of a quota", request{old: quota("3"), new: quota("3")}, nil},
		{"user deletes a quota", request{old: quota("3")}, nil},

		// What Pods need.
		{"user deletes a StorageClass", request{old: &storagev1.StorageClass{}}, lint},
		{"user creates a StorageClass that deletes volumes", request{new: &storagev1.StorageClass{}}, lint},
		{"user creates a StorageClass that retains volumes", request{new: &storagev1.StorageClass{ReclaimPolicy: new(corev1.PersistentVolumeReclaimRetain)}}, nil},
		{"user creates a Secret", request{new: &corev1.Secret{}}, nil},
		{"garbage collector deletes a ConfigMap", request{user: collector, old: &corev1.ConfigMap{}}, nil},
		{"user deletes a namespace", request{old: &corev1.Namespace{}}, guard},
		{"user creates an autoscaler", request{new: &autoscalingv2.HorizontalPodAutoscaler{}}, lint},
		{"the status of an autoscaler is updated", request{old: &autoscalingv2.HorizontalPodAutoscaler{}, new: &autoscalingv2.HorizontalPodAutoscaler{}}, nil},

		// Pods.
		{"user deletes a Pod", request{old: pod(), grace: 30}, lint},
		{"user deletes a Pod without an owner", request{old: &corev1.Pod{}, grace: 30}, nil},
		{"scheduler preempts a Pod", request{user: "system:kube-scheduler", old: pod(), grace: 30}, nil},
		{"StatefulSet controller deletes a Pod in a rollout", request{user: sets, old: pod(), grace: 30}, nil},
		{"user force-deletes a Pod", request{old: pod()}, lint},
		{"user force-deletes a Pod without an owner", request{old: &corev1.Pod{}}, nil},
		{"a node with a Deployment's Pod is drained", request{new: &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "web-6d4cf56db6-x7k2p"}}}, nil},
		{"node is drained", request{new: &policyv1.Eviction{}}, lint},
		{"node is drained with a grace period", request{new: eviction(30)}, lint},
		{"node is drained without a grace period", request{new: eviction(0)}, lint},
		{"a member loses a label", request{old: pod("app"), new: pod()}, lint},
		{"a member gets a label", request{old: pod(), new: pod("role")}, nil},
		{"a member changes, but its labels stay the same", request{old: pod("app"), new: pod("app")}, nil},
		{"a Pod without an owner loses a label", request{old: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "db"}}}, new: &corev1.Pod{}}, nil},
		{"StatefulSet controller removes a label from a Pod", request{user: sets, old: pod("app"), new: pod()}, nil},
		{"kubelet deletes a Pod", request{user: "system:node:node-1", old: pod()}, nil},
		{"Pod garbage collector deletes a Pod", request{user: "system:serviceaccount:kube-system:pod-garbage-collector", old: pod()}, nil},

		// The scale subresource, which the HPA and kubectl scale use.
		{"HPA scale-up", request{old: scale(3), new: scale(5)}, nil},
		{"HPA scale-up that adds a majority", request{old: scale(1), new: scale(3)}, lint},
		{"HPA scale-up from zero, old replicas omitted", request{old: scale(0), new: scale(1)}, lint},
		{"HPA, no change", request{old: scale(3), new: scale(3)}, nil},
		{"scale down", request{old: scale(3), new: scale(2)}, shrunk},
		{"scale to zero, replicas omitted", request{old: scale(3), new: scale(0)}, shrunk},
		{"KEDA scales down", request{user: "system:serviceaccount:keda:keda-operator", old: scale(3), new: scale(2)}, shrunk},
		{"KEDA scales up", request{user: "system:serviceaccount:keda:keda-operator", old: scale(2), new: scale(3)}, nil},
		{"zero to zero", request{old: scale(0), new: scale(0)}, nil},

		// Services.
		{"create a Service", request{new: service()}, nil},
		{"Service selects other Pods", request{old: service(), new: service(selecting("web"))}, lint},
		{"Service without a selector gets one", request{old: service(selecting("")), new: service()}, lint},
		{"Service becomes ExternalName, clusterIP absent", request{old: service(), new: service(external)}, lint},
		{"ExternalName stays, clusterIP absent", request{old: service(external), new: service(external)}, nil},
		{"Service publishes addresses that are not ready", request{old: service(), new: service(notReady)}, lint},
		{"Service gets a port", request{old: service(), new: service(port)}, lint},
		{"Service gets a label", request{old: service(), new: service(labeledService)}, nil},
		{"user deletes a headless Service", request{old: service()}, lint},
		{"user deletes a protected headless Service", request{old: service(keptService)}, guard},
		{"user deletes a protected ordinary Service", request{old: service(clusterIP("10.0.0.10"), keptService)}, guard},
		{"user deletes an ordinary Service", request{old: service(clusterIP("10.0.0.10"))}, nil},
		{"user deletes an ExternalName Service, clusterIP absent", request{old: service(external)}, nil},
		{"garbage collector deletes a Service", request{user: collector, old: service()}, nil},
		{"namespace controller deletes a Service", request{user: namespaces, old: service()}, nil},
		{"StatefulSet controller deletes a Service", request{user: sets, old: service()}, nil},
		{"controller manager deletes a Service", request{user: manager, old: service()}, nil},
		{"controller manager scales down", request{user: manager, old: scale(3), new: scale(2)}, shrunk},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := called(t, render(t, nil), c.request); !slices.Equal(got, c.want) {
				t.Errorf("the API server calls %v, want %v", got, c.want)
			}
		})
	}

	t.Run("webhook.controllers adds controllers", func(t *testing.T) {
		objects := render(t, map[string]any{"webhook": map[string]any{"controllers": []any{`o'hara "ops"`}}})
		for _, user := range []string{`o'hara "ops"`, collector} {
			if got := called(t, objects, request{user: user, old: service()}); got != nil {
				t.Errorf("the API server calls %v for %s", got, user)
			}
		}
	})
}

// TestNoRequestIsJudgedTwice covers all updates of replicas and ordinals: guard is called if and only if a Pod may go, at most one
// of guard and lint is called, and no condition fails.
func TestNoRequestIsJudgedTwice(t *testing.T) {
	type spec struct{ replicas, start int32 } // -1: absent
	var specs []spec
	for _, r := range []int32{-1, 0, 1, 3} {
		for _, s := range []int32{-1, 0, 1} {
			specs = append(specs, spec{r, s})
		}
	}
	build := func(s spec) *appsv1.StatefulSet {
		set := statefulSet()
		if s.replicas >= 0 {
			replicas(s.replicas)(set)
		}
		if s.start >= 0 {
			start(s.start)(set)
		}
		return set
	}
	orDefault := func(value, absent int32) int32 {
		if value < 0 {
			return absent
		}
		return value
	}
	objects := render(t, nil)
	for _, before := range specs {
		for _, after := range specs {
			got := called(t, objects, request{old: build(before), new: build(after)})
			var want []string
			switch {
			case orDefault(after.replicas, 1) < orDefault(before.replicas, 1), max(after.start, 0) != max(before.start, 0):
				want = []string{"defaults.mooring.dev", "guard.mooring.dev"}
			case before != after:
				want = []string{"defaults.mooring.dev", "lint.mooring.dev"}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%+v to %+v calls %v, want %v", before, after, got, want)
			}
		}
	}
}

// TestConditionsCompile compiles each condition as the oldest supported API server does.
func TestConditionsCompile(t *testing.T) {
	for _, w := range entries(t, render(t, nil)) {
		if len(w.GetMatchConditions()) == 0 {
			t.Errorf("%s has no conditions", w.GetName())
		}
		for _, c := range w.GetMatchConditions() {
			condition := matchconditions.MatchCondition(c)
			compiled := cel.NewCompiler(environment.MustBaseEnvSet(oldest)).CompileCELExpression(
				&condition, cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.NewExpressions)
			if compiled.Error != nil {
				t.Errorf("%s, %s: %v", w.GetName(), c.Name, compiled.Error)
			}
		}
	}
}

// TestGuardGoesWithMooring checks that the webhook configurations call nothing after Mooring's rights are gone.
func TestGuardGoesWithMooring(t *testing.T) {
	guard := validating(t, render(t, nil))
	if got := calledWhile(t, installed(false), []runtime.Object{guard}, request{old: statefulSet()}); got != nil {
		t.Errorf("the API server calls %v", got)
	}
}

// TestGuardIsInstalledWithoutRules checks that guard calls nothing before a replica adds its rules, because without a replica it
// would refuse everything.
func TestGuardIsInstalledWithoutRules(t *testing.T) {
	c := validating(t, render(t, nil))
	for _, w := range c.Webhooks {
		if fails := *w.FailurePolicy == admissionregistrationv1.Fail; fails != (len(w.Rules) == 0) {
			t.Errorf("%s: failurePolicy %s and %d rules", w.Name, *w.FailurePolicy, len(w.Rules))
		}
	}
}

// installed is an authorizer that decides whether Mooring's service account can write its lease.
func installed(is bool) authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if is && a.GetUser().GetName() == "system:serviceaccount:elsewhere:mooring" && a.GetNamespace() == "elsewhere" && a.GetName() == "mooring-leader" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
}

// called returns the names of the webhooks that the API server calls, determined with its own code.
func called(t *testing.T, objects []runtime.Object, r request) []string {
	t.Helper()
	return calledWhile(t, installed(true), objects, r)
}

func calledWhile(t *testing.T, may authorizer.Authorizer, objects []runtime.Object, r request) []string {
	t.Helper()
	attributes := r.attributes(t)
	versioned, err := admission.NewVersionedAttributes(attributes, attributes.GetKind(), admission.NewObjectInterfacesFromScheme(scheme.Scheme))
	if err != nil {
		t.Fatal(err)
	}
	compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	var names []string
	for _, w := range entries(t, objects) {
		if !slices.ContainsFunc(w.GetRules(), func(rule admissionregistrationv1.RuleWithOperations) bool {
			return (&rules.Matcher{Rule: rule, Attr: attributes}).Matches()
		}) {
			continue
		}
		result := w.GetCompiledMatcher(compiler).Match(t.Context(), versioned, nil, may)
		if result.Error != nil {
			t.Fatalf("%s: %v", w.GetName(), result.Error)
		}
		if result.Matches {
			names = append(names, w.GetName())
		}
	}
	return names
}

// entries returns the webhooks as the API server reads them. All get failurePolicy Fail, because otherwise a failing condition
// looks like a false one.
func entries(t *testing.T, objects []runtime.Object) []webhook.WebhookAccessor {
	fail := admissionregistrationv1.Fail
	var all []webhook.WebhookAccessor
	for _, o := range objects {
		switch o := o.(type) {
		case *admissionregistrationv1.MutatingWebhookConfiguration:
			for _, w := range o.Webhooks {
				w.FailurePolicy = &fail
				all = append(all, webhook.NewMutatingWebhookAccessor(w.Name, o.Name, &w))
			}
		case *admissionregistrationv1.ValidatingWebhookConfiguration:
			for _, w := range o.Webhooks {
				if len(w.Rules) == 0 {
					w.Rules = guardRules(t, o)
				}
				w.FailurePolicy = &fail
				all = append(all, webhook.NewValidatingWebhookAccessor(w.Name, o.Name, &w))
			}
		}
	}
	return all
}

// guardRules returns the rules that Mooring gives guard.
func guardRules(t *testing.T, c *admissionregistrationv1.ValidatingWebhookConfiguration) (all []admissionregistrationv1.RuleWithOperations) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(c.Annotations["mooring.dev/guard-rules"]), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// attributes converts the request for the API server's code. A delete has no name, like one in a deletecollection.
func (r request) attributes(t *testing.T) admission.Attributes {
	t.Helper()
	operation, about, name, namespace := admission.Update, r.new, "db", "default"
	if e, ok := r.new.(*policyv1.Eviction); ok {
		name = cmp.Or(e.Name, "db-0")
	}
	switch {
	case r.old == nil:
		operation = admission.Create
	case r.new == nil:
		operation, about, name = admission.Delete, r.old, ""
	}
	of, _, err := scheme.Scheme.ObjectKinds(about)
	if err != nil {
		t.Fatal(err)
	}
	kind, subresource := of[0], ""
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	switch about.(type) {
	case *autoscalingv1.Scale:
		resource, subresource = appsv1.SchemeGroupVersion.WithResource("statefulsets"), "scale"
	case *policyv1.Eviction:
		resource, subresource = corev1.SchemeGroupVersion.WithResource("pods"), "eviction"
	case *corev1.PersistentVolume, *corev1.Namespace, *corev1.Node, *storagev1.StorageClass, *storagev1.VolumeAttachment:
		namespace = ""
	}
	var options runtime.Object
	if operation == admission.Delete {
		options = &metav1.DeleteOptions{GracePeriodSeconds: &r.grace}
	}
	username := r.user
	if username == "" {
		username = "alice"
	}
	return admission.NewAttributesRecord(r.new, r.old, kind, namespace, name, resource, subresource, operation, options, false,
		&user.DefaultInfo{Name: username})
}

func statefulSet(edits ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db"},
		Spec:       appsv1.StatefulSetSpec{ServiceName: "db"},
	}
	for _, edit := range edits {
		edit(set)
	}
	return set
}

func replicas(n int32) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) { s.Spec.Replicas = &n }
}

func start(n int32) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: n} }
}

func restarted(s *appsv1.StatefulSet) {
	s.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
}

func node(edits ...func(*corev1.Node)) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}
	for _, edit := range edits {
		edit(node)
	}
	return node
}

func ready(n *corev1.Node) {
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
}

func finalized(n *corev1.Node) { n.Finalizers = []string{"karpenter.sh/termination"} }

func tainted(effect corev1.TaintEffect) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "maintenance", Effect: effect}} }
}

func quota(pods string) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}}}
}

func labeled(s *appsv1.StatefulSet) { s.Labels = map[string]string{"team": "storage"} }

func scale(n int32) *autoscalingv1.Scale {
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db"},
		Spec:       autoscalingv1.ScaleSpec{Replicas: n},
	}
}

func service(edits ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": "db"},
		},
	}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func pod(labels ...string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db"}}}}
	for _, label := range labels {
		metav1.SetMetaDataLabel(&pod.ObjectMeta, label, "yes")
	}
	return pod
}

func eviction(grace int64) *policyv1.Eviction {
	return &policyv1.Eviction{DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: &grace}}
}

func kept(c *corev1.PersistentVolumeClaim) {
	c.Labels = map[string]string{"mooring.dev/protect": "true"}
}

func keptService(s *corev1.Service) { s.Labels = map[string]string{"mooring.dev/protect": "true"} }

func pending(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending }

func claim(edits ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

func going(c *corev1.PersistentVolumeClaim) {
	c.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)}
}

func protected(c *corev1.PersistentVolumeClaim) {
	c.Finalizers = []string{"kubernetes.io/pvc-protection"}
}

func labeledClaim(c *corev1.PersistentVolumeClaim) { c.Labels = map[string]string{"team": "storage"} }

func volume(phase corev1.PersistentVolumePhase) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{Status: corev1.PersistentVolumeStatus{Phase: phase}}
}

func selecting(app string) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Spec.Selector = nil
		if app != "" {
			s.Spec.Selector = map[string]string{"app": app}
		}
	}
}

func clusterIP(ip string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.ClusterIP = ip }
}

func external(s *corev1.Service) {
	s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.com"}
}

func notReady(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }

func port(s *corev1.Service) { s.Spec.Ports = []corev1.ServicePort{{Name: "metrics", Port: 9090}} }

func labeledService(s *corev1.Service) { s.Labels = map[string]string{"team": "storage"} }

func owned(set *appsv1.StatefulSet) {
	set.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Database", Name: "db", UID: "1"}}
}

func ownedClaim(claim *corev1.PersistentVolumeClaim) {
	claim.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "1"}}
}

func reclaimed(policy corev1.PersistentVolumeReclaimPolicy) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: policy}}
}

func claimed(phase corev1.PersistentVolumePhase) *corev1.PersistentVolume {
	v := volume(phase)
	v.Spec.ClaimRef = &corev1.ObjectReference{UID: "1"}
	return v
}
