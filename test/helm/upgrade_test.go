// Package helm installs the chart with Helm's own packages on a real API server.
package helm

import (
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"

	"github.com/mooring-dev/mooring/test/controlplane"
)

const policy = `
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: ours}
spec: {rules: {scaleDown: {action: Deny, maxStep: 1}}}
`

// TestUpgrade upgrades from the last release's chart, in testdata, to the present one. Policies stay, and so does what Mooring
// wrote into the webhook configurations. After helm uninstall, policies are still there.
func TestUpgrade(t *testing.T) {
	const namespace = "mooring-system"
	cp := controlplane.Start(t, controlplane.Options{WithoutControllers: true})
	kubectl := func(stdin string, args ...string) string {
		t.Helper()
		cmd := cp.Kubectl(t.Context(), args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	settings := cli.New()
	settings.KubeConfig = cp.Kubeconfig
	settings.SetNamespace(namespace)
	config := new(action.Configuration)
	if err := config.Init(settings.RESTClientGetter(), namespace, "secret", t.Logf); err != nil {
		t.Fatal(err)
	}
	previous, err := loader.Load("testdata/mooring-previous.tgz")
	if err != nil {
		t.Fatal(err)
	}
	present, err := loader.Load("../../deploy/chart")
	if err != nil {
		t.Fatal(err)
	}

	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace, install.CreateNamespace = "mooring", namespace, true
	if _, err := install.RunWithContext(t.Context(), previous, nil); err != nil {
		t.Fatal(err)
	}
	kubectl("", "wait", "--for=condition=Established", "crd/statefulpolicies.mooring.dev", "--timeout=30s")
	kubectl(policy, "apply", "-f", "-")
	kubectl("", "patch", "validatingwebhookconfiguration", "mooring", "--type=json",
		"-p", `[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"Y2E="}]`)
	const uid, version = "jsonpath={.metadata.uid}", "jsonpath={.metadata.resourceVersion}"
	was := kubectl("", "get", "statefulpolicy", "ours", "-o", uid)
	definition := kubectl("", "get", "crd", "statefulpolicies.mooring.dev", "-o", version)

	upgrade := action.NewUpgrade(config)
	upgrade.Namespace = namespace
	values := map[string]any{"nativeFallback": map[string]any{"enabled": true}, "webhook": map[string]any{"clientCA": map[string]any{"configMap": "ca"}}}
	if _, err := upgrade.RunWithContext(t.Context(), "mooring", present, values); err != nil {
		t.Fatal(err)
	}
	if is := kubectl("", "get", "statefulpolicy", "ours", "-o", uid); is != was {
		t.Errorf("the policy is another one: uid %s, was %s", is, was)
	}
	if ca := kubectl("", "get", "validatingwebhookconfiguration", "mooring", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}"); ca != "Y2E=" {
		t.Errorf("the caBundle is %q after the upgrade", ca)
	}
	if args := kubectl("", "-n", namespace, "get", "deployment", "mooring", "-o", "jsonpath={.spec.template.spec.containers[0].args}"); !strings.Contains(args, "--client-ca-file") {
		t.Errorf("the Deployment was not upgraded: %s", args)
	}
	kubectl("", "get", "validatingadmissionpolicy", "mooring-profile-baseline-scale-deny")
	// Helm never upgrades crds/: see docs/operating/install.md.
	if is := kubectl("", "get", "crd", "statefulpolicies.mooring.dev", "-o", version); is != definition {
		t.Error("Helm has changed the CustomResourceDefinition: docs/operating/install.md says that it does not")
	}
	kubectl("", "apply", "--server-side", "--force-conflicts", "-f", "../../deploy/chart/crds")

	if _, err := action.NewUninstall(config).Run("mooring"); err != nil {
		t.Fatal(err)
	}
	if is := kubectl("", "get", "statefulpolicy", "ours", "-o", uid); is != was {
		t.Errorf("the policy did not outlive the chart: uid %s, was %s", is, was)
	}
}
