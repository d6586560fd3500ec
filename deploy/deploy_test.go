package deploy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func TestGeneratedIsFresh(t *testing.T) {
	rendered, err := InstallYAML()
	if err != nil {
		t.Fatal(err)
	}
	readme, schema, err := Documented()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]byte{"install.yaml": rendered, "chart/README.md": readme, "chart/values.schema.json": schema} {
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run `make render`", file)
		}
	}
}

// TestInventory checks the objects of install.yaml and their order.
func TestInventory(t *testing.T) {
	rendered, err := InstallYAML()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"apiextensions.k8s.io/v1 CustomResourceDefinition statefulpolicies.mooring.dev",
		"v1 Namespace mooring-system",
		"v1 ResourceQuota mooring-critical-pods",
		"policy/v1 PodDisruptionBudget mooring",
		"v1 ServiceAccount mooring",
		"rbac.authorization.k8s.io/v1 ClusterRole mooring-bypass",
		"rbac.authorization.k8s.io/v1 ClusterRole mooring-metrics-reader",
		"rbac.authorization.k8s.io/v1 ClusterRole mooring-view",
		"rbac.authorization.k8s.io/v1 ClusterRole mooring-edit",
		"rbac.authorization.k8s.io/v1 ClusterRole mooring-audit",
		"rbac.authorization.k8s.io/v1 ClusterRole mooring",
		"rbac.authorization.k8s.io/v1 ClusterRole mooring-owners",
		"rbac.authorization.k8s.io/v1 ClusterRoleBinding mooring",
		"rbac.authorization.k8s.io/v1 ClusterRoleBinding mooring-owners",
		"rbac.authorization.k8s.io/v1 Role mooring",
		"rbac.authorization.k8s.io/v1 RoleBinding mooring",
		"v1 Service mooring-webhook",
		"v1 Service mooring-metrics",
		"apps/v1 Deployment mooring",
		"admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mooring",
		"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy mooring-namespace-labels",
		"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding mooring-namespace-labels",
		"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration mooring",
		"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration mooring-owners",
	}
	if got := inventory(t, decode(t, rendered)); !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// TestValues renders each kind of value. All objects must decode strictly.
func TestValues(t *testing.T) {
	has := func(t *testing.T, objects []runtime.Object, want string) bool {
		return slices.ContainsFunc(inventory(t, objects), func(line string) bool { return strings.HasSuffix(line, want) })
	}
	t.Run("no values: Helm creates the namespace", func(t *testing.T) {
		objects := render(t, nil)
		if has(t, objects, "Namespace elsewhere") {
			t.Error("the namespace is rendered")
		}
		for _, o := range objects {
			accessor, err := meta.Accessor(o)
			if err != nil {
				t.Fatal(err)
			}
			if ns := accessor.GetNamespace(); ns != "" && ns != "elsewhere" {
				t.Errorf("%T %s is in namespace %s", o, accessor.GetName(), ns)
			}
		}
	})
	t.Run("all values for the Pods", func(t *testing.T) {
		digest := "sha256:" + strings.Repeat("0", 64)
		d := only[*appsv1.Deployment](t, render(t, map[string]any{
			"defaultProfile": "restricted",
			"logLevel":       "debug",
			"image":          map[string]any{"registry": "example.com", "repository": "mooring", "tag": "v9", "digest": digest},
			"commonLabels":   map[string]any{"team": "platform"},
			"podLabels":      map[string]any{"mesh": "off"},
			"podAnnotations": map[string]any{"a": "b"},
			"affinity":       map[string]any{"nodeAffinity": map[string]any{}},
			"topologySpreadConstraints": []any{map[string]any{
				"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": map[string]any{},
			}},
			"hostNetwork":       true,
			"extraArgs":         []any{"--drain-delay=10s"},
			"webhook":           map[string]any{"port": 10250, "timeoutSeconds": 3},
			"imagePullSecrets":  []any{map[string]any{"name": "pull"}},
			"priorityClassName": "",
			"nodeSelector":      map[string]any{"kubernetes.io/os": "linux"},
			"tolerations":       []any{map[string]any{"key": "infra", "operator": "Exists"}},
		}))
		pod := d.Spec.Template.Spec
		c := pod.Containers[0]
		if c.Image != "example.com/mooring:v9@"+digest || pod.ImagePullSecrets[0].Name != "pull" || pod.PriorityClassName != "" ||
			pod.NodeSelector["kubernetes.io/os"] != "linux" || pod.Tolerations[0].Key != "infra" ||
			d.Labels["team"] != "platform" || d.Spec.Template.Labels["mesh"] != "off" || d.Spec.Template.Annotations["a"] != "b" ||
			pod.Affinity.PodAntiAffinity != nil || pod.Affinity.NodeAffinity == nil || pod.TopologySpreadConstraints[0].TopologyKey != "rack" ||
			!pod.HostNetwork || pod.DNSPolicy != corev1.DNSClusterFirstWithHostNet || c.Ports[0].ContainerPort != 10250 ||
			!slices.Contains(c.Args, "--webhook-bind-address=:10250") || !slices.Contains(c.Args, "--drain-delay=10s") ||
			!slices.Contains(c.Args, "--default-profile=restricted") || !slices.Contains(c.Args, "--log-level=debug") {
			t.Errorf("the Pod lacks a value: %+v", pod)
		}
	})
	t.Run("one replica: no budget, which would block every drain", func(t *testing.T) {
		if has(t, render(t, map[string]any{"replicas": 1}), "PodDisruptionBudget mooring") {
			t.Error("there is a PodDisruptionBudget")
		}
	})
	t.Run("an ordinary priority class: no quota", func(t *testing.T) {
		if has(t, render(t, map[string]any{"priorityClassName": "high"}), "ResourceQuota mooring-critical-pods") {
			t.Error("there is a ResourceQuota")
		}
	})
	t.Run("networkPolicy", func(t *testing.T) {
		if !has(t, render(t, map[string]any{"networkPolicy": map[string]any{
			"enabled":     true,
			"metricsFrom": []any{map[string]any{"namespaceSelector": map[string]any{}}},
		}}), "NetworkPolicy mooring") {
			t.Error("there is no NetworkPolicy")
		}
	})
	t.Run("certs.mode: cert-manager", func(t *testing.T) {
		for name, c := range map[string]struct {
			certs  map[string]any
			issuer string
			ours   bool
		}{
			"Mooring's own issuer": {map[string]any{}, "Issuer/mooring-ca", true},
			"a ClusterIssuer":      {map[string]any{"issuer": map[string]any{"name": "internal"}}, "ClusterIssuer/internal", false},
			"an external issuer":   {map[string]any{"issuer": map[string]any{"group": "pca.example", "kind": "PCA", "name": "x"}}, "PCA.pca.example/x", false},
		} {
			t.Run(name, func(t *testing.T) {
				c.certs["mode"], c.certs["extraNames"] = "cert-manager", []any{"127.0.0.1", "hook.example"}
				objects := render(t, map[string]any{"certs": c.certs})
				args := only[*appsv1.Deployment](t, objects).Spec.Template.Spec.Containers[0].Args
				for _, want := range []string{"--cert-mode=cert-manager", "--cert-issuer=" + c.issuer, "--cert-extra-name=hook.example"} {
					if !slices.Contains(args, want) {
						t.Errorf("%s is not among %q", want, args)
					}
				}
				if has(t, objects, "Issuer mooring-ca") != c.ours {
					t.Errorf("there is an Issuer of our own: %v", !c.ours)
				}
				if injected := validating(t, objects).Annotations; injected["cert-manager.io/inject-ca-from-secret"] != "elsewhere/mooring-webhook-cert-ca" {
					t.Errorf("cainjector is not asked: %v", injected)
				}
				for _, o := range objects {
					if o, ok := o.(*unstructured.Unstructured); ok && o.GetKind() == "Certificate" && o.GetName() == "mooring-webhook-cert" {
						names, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "dnsNames")
						addresses, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "ipAddresses")
						issuer, _, _ := unstructured.NestedString(o.Object, "spec", "issuerRef", "name")
						if !slices.Contains(names, "hook.example") || !slices.Equal(addresses, []string{"127.0.0.1"}) || !strings.HasSuffix(c.issuer, "/"+issuer) {
							t.Errorf("the Certificate asks %s for %q and %q", issuer, names, addresses)
						}
					}
				}
			})
		}
	})
	t.Run("certs.mode: files", func(t *testing.T) {
		objects := render(t, map[string]any{"certs": map[string]any{"mode": "files", "files": map[string]any{"secretName": "tls", "caBundle": "Y2E="}}})
		pod := only[*appsv1.Deployment](t, objects).Spec.Template.Spec
		if !slices.Contains(pod.Containers[0].Args, "--cert-dir=/etc/mooring/cert") || pod.Volumes[0].Secret.SecretName != "tls" || pod.Containers[0].VolumeMounts[0].MountPath != "/etc/mooring/cert" {
			t.Errorf("the Secret is not mounted: %+v", pod)
		}
		for _, w := range validating(t, objects).Webhooks {
			if string(w.ClientConfig.CABundle) != "ca" {
				t.Errorf("%s: the caBundle is %q", w.Name, w.ClientConfig.CABundle)
			}
		}
	})
	t.Run("autoscaling: the Deployment sets no replicas", func(t *testing.T) {
		objects := render(t, map[string]any{"replicas": 1, "autoscaling": map[string]any{"enabled": true, "minReplicas": 3}})
		if d := only[*appsv1.Deployment](t, objects); d.Spec.Replicas != nil {
			t.Errorf("the Deployment has %d replicas", *d.Spec.Replicas)
		}
		if !has(t, objects, "HorizontalPodAutoscaler mooring") || !has(t, objects, "PodDisruptionBudget mooring") {
			t.Errorf("there is no autoscaler, or no budget: %q", inventory(t, objects))
		}
	})
	t.Run("monitors", func(t *testing.T) {
		on := map[string]any{"enabled": true}
		objects := render(t, map[string]any{"serviceMonitor": on, "podMonitor": on})
		if !has(t, objects, "ServiceMonitor mooring") || !has(t, objects, "PodMonitor mooring") {
			t.Errorf("a monitor is missing: %q", inventory(t, objects))
		}
	})
	t.Run("scanner", func(t *testing.T) {
		for enabled, want := range map[bool]string{true: "--scan-interval=1h", false: "--scan=false"} {
			objects := render(t, map[string]any{"scanner": map[string]any{"enabled": enabled}, "webhook": map[string]any{"excludedNamespaces": []any{"sandbox"}}})
			args := only[*appsv1.Deployment](t, objects).Spec.Template.Spec.Containers[0].Args
			if !slices.Contains(args, want) || !slices.Contains(args, "--scan-excluded-namespaces=kube-system,kube-node-lease,elsewhere,sandbox") {
				t.Errorf("enabled %v: the arguments are %q", enabled, args)
			}
			if got := slices.ContainsFunc(roleNamed(t, objects, "mooring").Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.APIGroups, "openreports.io") }); got != enabled {
				t.Errorf("enabled %v: may write reports: %v", enabled, got)
			}
		}
	})
	t.Run("webhook.url: Mooring runs outside the cluster", func(t *testing.T) {
		objects := render(t, map[string]any{"webhook": map[string]any{"url": "https://127.0.0.1:9443"}})
		for _, gone := range []string{"Deployment mooring", "Service mooring-webhook", "PodDisruptionBudget mooring"} {
			if has(t, objects, gone) {
				t.Errorf("there is a %s", gone)
			}
		}
		mutating := only[*admissionregistrationv1.MutatingWebhookConfiguration](t, objects)
		validating := validating(t, objects)
		for want, config := range map[string]admissionregistrationv1.WebhookClientConfig{
			"https://127.0.0.1:9443/mutate":   mutating.Webhooks[0].ClientConfig,
			"https://127.0.0.1:9443/validate": validating.Webhooks[0].ClientConfig,
		} {
			if config.URL == nil || *config.URL != want || config.Service != nil {
				t.Errorf("got %+v, want the URL %s", config, want)
			}
		}
	})
}

func TestSchemaNamesTheBadValue(t *testing.T) {
	for name, c := range map[string]struct {
		values map[string]any
		want   string
	}{
		"unknown profile":             {map[string]any{"defaultProfile": "strict"}, "/defaultProfile"},
		"an unquoted off":             {map[string]any{"defaultProfile": false}, "/defaultProfile"},
		"no replicas":                 {map[string]any{"replicas": 0}, "/replicas"},
		"a misspelled value":          {map[string]any{"replica": 3}, "'replica' not allowed"},
		"a misspelled nested value":   {map[string]any{"image": map[string]any{"Tag": "v1"}}, "'Tag' not allowed"},
		"plain HTTP":                  {map[string]any{"webhook": map[string]any{"url": "http://127.0.0.1"}}, "/webhook/url"},
		"URL with a path":             {map[string]any{"webhook": map[string]any{"url": "https://127.0.0.1/"}}, "/webhook/url"},
		"a namespace pattern":         {map[string]any{"webhook": map[string]any{"excludedNamespaces": []any{"kube-*"}}}, "/webhook/excludedNamespaces/0"},
		"certificate mode":            {map[string]any{"certs": map[string]any{"mode": "vault"}}, "/certs/mode"},
		"a duration without a unit":   {map[string]any{"scanner": map[string]any{"interval": "60"}}, "/scanner/interval"},
		"files without a Secret name": {map[string]any{"certs": map[string]any{"mode": "files"}}, "/certs/files/secretName"},
		"a truncated digest":          {map[string]any{"image": map[string]any{"digest": "sha256:12"}}, "/image/digest"},
		"a webhook timeout":           {map[string]any{"webhook": map[string]any{"timeoutSeconds": 31}}, "/webhook/timeoutSeconds"},
		"failure policy":              {map[string]any{"webhook": map[string]any{"guard": map[string]any{"failurePolicy": "Warn"}}}, "/webhook/guard/failurePolicy"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Render(c.values, Namespace)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that names %s", err, c.want)
			}
		})
	}
}

// TestAuditRoleOnlyReads checks that the audit role cannot change anything.
func TestAuditRoleOnlyReads(t *testing.T) {
	for _, r := range roleNamed(t, render(t, nil), "mooring-audit").Rules {
		for _, verb := range r.Verbs {
			if verb != "get" && verb != "list" {
				t.Errorf("may %s %v", verb, r.Resources)
			}
		}
	}
}

func roleNamed(t *testing.T, objects []runtime.Object, name string) *rbacv1.ClusterRole {
	t.Helper()
	for _, o := range objects {
		if role, ok := o.(*rbacv1.ClusterRole); ok && role.Name == name {
			return role
		}
	}
	t.Fatalf("there is no ClusterRole %s", name)
	return nil
}

func TestRBACHasNoWildcards(t *testing.T) {
	for _, o := range render(t, nil) {
		var rules []rbacv1.PolicyRule
		switch o := o.(type) {
		case *rbacv1.ClusterRole:
			rules = o.Rules
		case *rbacv1.Role:
			rules = o.Rules
		}
		for _, r := range rules {
			for _, item := range slices.Concat(r.Verbs, r.APIGroups, r.Resources, r.ResourceNames, r.NonResourceURLs) {
				if strings.Contains(item, "*") {
					t.Errorf("%T has a wildcard: %v", o, r)
				}
			}
		}
	}
}

// TestNamespaceSelector checks that the cluster and Mooring itself can start while no replica answers.
func TestNamespaceSelector(t *testing.T) {
	objects := render(t, map[string]any{"webhook": map[string]any{"excludedNamespaces": []any{"sandbox"}}})
	selectors := map[string]*metav1.LabelSelector{}
	for _, w := range only[*admissionregistrationv1.MutatingWebhookConfiguration](t, objects).Webhooks {
		selectors[w.Name] = w.NamespaceSelector
	}
	for _, w := range validating(t, objects).Webhooks {
		selectors[w.Name] = w.NamespaceSelector
	}
	for webhook, s := range selectors {
		selector, err := metav1.LabelSelectorAsSelector(s)
		if err != nil {
			t.Fatal(err)
		}
		for namespace, want := range map[string]bool{
			"kube-system": false, "kube-node-lease": false, "elsewhere": false, "sandbox": false, "default": true, Namespace: true,
		} {
			if got := selector.Matches(labels.Set{"kubernetes.io/metadata.name": namespace}); got != want {
				t.Errorf("%s calls for namespace %s: %v, want %v", webhook, namespace, got, want)
			}
		}
	}
}

// render renders the chart for the namespace "elsewhere".
func render(t *testing.T, values map[string]any) []runtime.Object {
	t.Helper()
	rendered, err := Render(values, "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, rendered)
}

// decode decodes YAML documents into typed objects, and fails on a field that the type does not have.
func decode(t *testing.T, documents []byte) []runtime.Object {
	t.Helper()
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(known); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(known, serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	for reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(documents))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if json, err := yaml.ToJSON(document); err == nil && string(json) == "null" {
			continue // the comment at the top
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) && (strings.Contains(string(document), "apiVersion: cert-manager.io/") || strings.Contains(string(document), "apiVersion: monitoring.coreos.com/")) {
			// Importing its types would add a dependency; its CRDs are tested in a cluster.
			foreign := &unstructured.Unstructured{}
			object, err = foreign, yaml.Unmarshal(document, &foreign.Object)
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		objects = append(objects, object)
	}
}

// inventory returns a line for each object: apiVersion, kind and name.
func inventory(t *testing.T, objects []runtime.Object) []string {
	t.Helper()
	var lines []string
	for _, o := range objects {
		accessor, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		version, kind := o.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
		lines = append(lines, version+" "+kind+" "+accessor.GetName())
	}
	return lines
}

// validating returns the configuration that is installed with webhooks; Mooring adds one to the other.
func validating(t *testing.T, objects []runtime.Object) *admissionregistrationv1.ValidatingWebhookConfiguration {
	t.Helper()
	return only[*admissionregistrationv1.ValidatingWebhookConfiguration](t, slices.DeleteFunc(slices.Clone(objects), func(o runtime.Object) bool {
		c, ok := o.(*admissionregistrationv1.ValidatingWebhookConfiguration)
		return ok && len(c.Webhooks) == 0
	}))
}

// only returns the only object of a type.
func only[T runtime.Object](t *testing.T, objects []runtime.Object) T {
	t.Helper()
	var found []T
	for _, o := range objects {
		if o, ok := o.(T); ok {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d objects of type %T, want one", len(found), *new(T))
	}
	return found[0]
}
