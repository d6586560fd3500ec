package harness

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/deploy"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/native"
	"github.com/mooring-dev/mooring/policies/profiles"
)

// TestChartRendersWhatIsExported checks that the chart's nativeFallback equals the output of export for the same values: the
// template only sets namespaces, controllers and the default profile.
func TestChartRendersWhatIsExported(t *testing.T) {
	controllers := []any{"system:serviceaccount:kube-system:namespace-controller"}
	for _, profile := range append([]string{policies.ProfileOff}, profiles.Names...) {
		t.Run(profile, func(t *testing.T) {
			rendered, err := deploy.Render(map[string]any{
				"nativeFallback": map[string]any{"enabled": true}, "defaultProfile": profile,
				"webhook": map[string]any{"excludedNamespaces": []any{"legacy"}, "controllers": controllers},
			}, "elsewhere")
			if err != nil {
				t.Fatal(err)
			}
			objects, err := native.Export(native.Options{
				Profiles: profiles.Names, DefaultProfile: profile, Defaults: true,
				ExcludedNamespaces: []string{"kube-system", "kube-node-lease", "elsewhere", "legacy"},
				Controllers:        []string{controllers[0].(string)},
			})
			if err != nil {
				t.Fatal(err)
			}
			exported, err := native.YAML(objects)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(admissionPolicies(t, exported), admissionPolicies(t, rendered)); diff != "" {
				t.Errorf("(-exported +rendered)\n%s", diff)
			}
		})
	}
}

// admissionPolicies returns the specs of admission policies and bindings in YAML documents, by kind and name.
func admissionPolicies(t *testing.T, manifest []byte) map[string]any {
	t.Helper()
	specs := map[string]any{}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			if len(specs) == 0 {
				t.Fatal("no admission policies")
			}
			return specs
		}
		if err != nil {
			t.Fatal(err)
		}
		var o unstructured.Unstructured
		if err := sigsyaml.Unmarshal(document, &o.Object); err != nil {
			t.Fatal(err)
		}
		if o.GetLabels()[native.ProfileOfLabel] == "" {
			// These are the chart's own, about namespace labels.
			continue
		}
		switch kind := o.GetKind(); kind {
		case "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding":
			specs[kind+" "+o.GetName()] = o.Object["spec"]
		}
	}
}
