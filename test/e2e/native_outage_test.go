package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/native"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// TestNativeFallback enables the chart's nativeFallback, then kills every replica and deletes the webhook configurations. What is
// still refused, the API server refuses itself.
func TestNativeFallback(t *testing.T) {
	in := harness.Install(t, controlplane.Options{}, harness.Options{Values: map[string]any{"nativeFallback": map[string]any{"enabled": true}}})
	try := func(kubeconfig, stdin string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return in.Run(ctx, kubeconfig, stdin, args...)
	}
	must := func(stdin string, args ...string) string {
		t.Helper()
		out, err := try(in.Kubeconfig, stdin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	refusedFor := func(kubeconfig, want string, args ...string) {
		t.Helper()
		out, err := try(kubeconfig, "", args...)
		if err == nil || !strings.Contains(out, "denied request: "+want) {
			t.Errorf("kubectl %s: want a refusal for %s, got %v\n%s", strings.Join(args, " "), want, err, out)
		}
	}
	refused := func(want string, args ...string) { t.Helper(); refusedFor(in.Kubeconfig, want, args...) }
	for _, labels := range []string{"shop", "strict mooring.dev/profile=restricted", "lenient mooring.dev/mode=warn", "free mooring.dev/profile=off"} {
		name, label, labeled := strings.Cut(labels, " ")
		must("", "create", "namespace", name)
		must(strings.ReplaceAll(service+"---\n"+statefulSet("replicas: 5"), "NAMESPACE", name), "apply", "-f", "-")
		if labeled {
			must("", "label", "namespace", name, label)
		}
	}
	for _, name := range []string{"shop", "strict", "lenient", "free"} {
		must("", "-n", name, "wait", "statefulset/db", "--for=jsonpath={.status.availableReplicas}=5", "--timeout=60s")
	}
	in.Kill()
	must("", "delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "mooring")

	refused("scale-down/quorum", "-n", "shop", "scale", "statefulset/db", "--replicas=1")
	refused("scale-down/to-zero", "-n", "shop", "scale", "statefulset/db", "--replicas=0")
	refused("scale-down/to-zero", "-n", "shop", "patch", "statefulset/db", "-p", `{"spec":{"replicas":0}}`)
	refused("scale-down/step", "-n", "strict", "scale", "statefulset/db", "--replicas=3")
	refused("retention-policy/required", "-n", "strict", "patch", "statefulset/db", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}`)
	refused("delete-protection/in-use", "-n", "shop", "delete", "persistentvolumeclaim", "data-db-0", "--wait=false")
	refused("delete-protection/namespace", "delete", "namespace", "shop", "--wait=false")
	must("", "-n", "shop", "patch", "statefulset/db", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}`)
	refused("delete-protection/data", "-n", "shop", "delete", "statefulset", "db", "--wait=false")
	must("", "-n", "free", "label", "service", "db", policies.ProtectLabel+"=true")
	must("", "-n", "shop", "label", "service", "db", policies.ProtectLabel+"=true")
	refused("delete-protection/protected", "-n", "shop", "delete", "service", "db")

	if out := must("", "-n", "lenient", "scale", "statefulset/db", "--replicas=0"); !strings.Contains(out, "scale-down/to-zero") {
		t.Errorf("a namespace in mode warn is not warned:\n%s", out)
	}
	must("", "-n", "free", "scale", "statefulset/db", "--replicas=0")
	must("", "-n", "shop", "scale", "statefulset/db", "--replicas=6")
	must("", "-n", "shop", "scale", "statefulset/db", "--replicas=5")

	// A bypass needs the right.
	developer, err := in.KubeconfigFor("developer")
	if err != nil {
		t.Fatal(err)
	}
	must("", "create", "clusterrolebinding", "developer", "--clusterrole=edit", "--user=developer")
	annotate := func(annotations ...string) {
		t.Helper()
		must("", append([]string{"-n", "shop", "annotate", "--overwrite", "statefulset/db", policies.BypassAnnotation + "=scale-down"}, annotations...)...)
	}
	patch := []string{"-n", "shop", "patch", "statefulset/db", "--dry-run=server", "-p", `{"spec":{"replicas":0}}`}
	until := func(d time.Duration) string {
		return policies.BypassUntilAnnotation + "=" + time.Now().Add(d).UTC().Format(time.RFC3339)
	}
	annotate(policies.BypassReasonAnnotation + "= ")
	refused("scale-down/to-zero", patch...)
	annotate(policies.BypassReasonAnnotation+"=the data has moved", until(-time.Hour))
	refused("scale-down/to-zero", patch...)
	annotate(policies.BypassReasonAnnotation+"=the data has moved", until(30*time.Hour))
	refused("scale-down/to-zero", patch...)
	annotate(policies.BypassReasonAnnotation+"=the data has moved", until(time.Hour))
	refusedFor(developer, "scale-down/to-zero", patch...)
	must("", patch...)
	// A scale request is judged by the API server's cached StatefulSet, which takes a moment.
	await(t, func() error {
		_, err := try(in.Kubeconfig, "", "-n", "shop", "scale", "statefulset/db", "--replicas=0", "--dry-run=server")
		return err
	})
	refusedFor(developer, "scale-down/to-zero", "-n", "shop", "scale", "statefulset/db", "--replicas=0")

	// Controllers carry out earlier decisions unhindered.
	must("", "annotate", "namespace", "shop", policies.BypassAnnotation+"=delete-protection", policies.BypassReasonAnnotation+"=moved")
	must("", "delete", "namespace", "shop", "--timeout=60s")
}

// TestNativeDefaults checks that the API server sets a policy's defaults, and keeps what the user wrote.
func TestNativeDefaults(t *testing.T) {
	s := newShell(t)
	if out := s.must("api-resources", "--api-group=admissionregistration.k8s.io", "-o", "name"); !strings.Contains(out, "mutatingadmissionpolicies") {
		t.Skip("this API server has no MutatingAdmissionPolicy")
	}
	// The shared cluster's Mooring would also set them, so this one has none.
	cp := controlplane.Start(t, controlplane.Options{WithoutControllers: true})
	in := &harness.Installation{ControlPlane: cp}
	policy := v1alpha1.StatefulPolicy{}
	policy.Name = "defaults"
	policy.Spec.Rules.RetentionPolicy = &v1alpha1.RetentionPolicy{
		Enforcement: v1alpha1.Enforcement{Action: v1alpha1.Warn}, Default: &v1alpha1.RetentionValues{WhenScaled: "Delete"},
	}
	policy.Spec.Rules.UpdateStrategy = &v1alpha1.UpdateStrategy{
		Enforcement: v1alpha1.Enforcement{Action: v1alpha1.Warn}, Default: &v1alpha1.UpdateStrategyValues{Type: "OnDelete"},
	}
	objects, err := native.Export(native.Options{
		Policies: []v1alpha1.StatefulPolicy{policy}, Defaults: true,
		ExcludedNamespaces: native.DefaultExcludedNamespaces, Controllers: policies.Controllers(),
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := native.YAML(objects)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Apply(t.Context(), string(manifest)); err != nil {
		t.Fatal(err)
	}
	const result = "jsonpath={.spec.persistentVolumeClaimRetentionPolicy.whenScaled} {.spec.updateStrategy.type}"
	create := func(args []string, lines ...string) (string, error) {
		manifest := strings.ReplaceAll(statefulSet(append([]string{"replicas: 1"}, lines...)...), "NAMESPACE", "default")
		return in.Run(t.Context(), in.Kubeconfig, manifest, append(args, "-f", "-", "--dry-run=server", "-o", result)...)
	}
	await(t, func() error {
		out, err := create([]string{"create"})
		if err == nil && out != "Delete OnDelete" {
			err = fmt.Errorf("got %q", out)
		}
		return err
	})
	const retention, strategy = "persistentVolumeClaimRetentionPolicy: {whenScaled: Retain}", "updateStrategy: {type: RollingUpdate}"
	for name, c := range map[string]struct {
		args  []string
		lines []string
		want  string
	}{
		"client-side apply, silent":             {[]string{"apply"}, nil, "Delete OnDelete"},
		"client-side apply, retention written":  {[]string{"apply"}, []string{retention}, "Retain OnDelete"},
		"client-side apply, strategy written":   {[]string{"apply"}, []string{strategy}, "Delete RollingUpdate"},
		"server-side apply, silent":             {[]string{"apply", "--server-side"}, nil, "Delete OnDelete"},
		"server-side apply, both written":       {[]string{"apply", "--server-side"}, []string{retention, strategy}, "Retain RollingUpdate"},
		"create, which does not tell who wrote": {[]string{"create"}, []string{retention}, "Delete OnDelete"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := create(c.args, c.lines...)
			if err != nil || out != c.want {
				t.Errorf("got %q, error %v; want %q", out, err, c.want)
			}
		})
	}
}
