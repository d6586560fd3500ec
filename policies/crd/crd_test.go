package crd_test

import (
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies/crd"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// TestProfiles checks that a cluster accepts the profiles under another name.
func TestProfiles(t *testing.T) {
	for _, name := range profiles.Names {
		profile, err := profiles.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		policy := profile.DeepCopy()
		if refused, err := crd.Refused(policy); err != nil || len(refused) != 1 || refused[0].Field != "metadata.name" {
			t.Errorf("%s: %v, error %v", name, refused, err)
		}
		policy.Name = "mine"
		if refused, err := crd.Refused(policy); err != nil || len(refused) > 0 {
			t.Errorf("%s under another name: %v, error %v", name, refused, err)
		}
	}
}

// TestEverythingWrongIsSaid checks that one mistake does not hide another.
func TestEverythingWrongIsSaid(t *testing.T) {
	policy := v1alpha1.StatefulPolicy{ObjectMeta: metav1.ObjectMeta{Name: "databases"}}
	if err := yaml.UnmarshalStrict([]byte(`{rules: {scaleDown: {action: Dny, maxStep: 0}}, exceptions: [{rule: spread, reason: ""}]}`), &policy.Spec); err != nil {
		t.Fatal(err)
	}
	refused, err := crd.Refused(&policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`Unsupported value: "Dny"`, "spec.rules.scaleDown.maxStep: Invalid value: 0", "spec.exceptions[0].reason"} {
		if !strings.Contains(refused.ToAggregate().Error(), want) {
			t.Errorf("no error has %q: %v", want, refused)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	data, err := os.ReadFile("../profiles/restricted.yaml")
	if err != nil {
		b.Fatal(err)
	}
	var policy map[string]any
	if err := yaml.UnmarshalStrict(data, &policy); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := crd.Validate(policy); err != nil {
			b.Fatal(err)
		}
	}
}
