package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/native"
	"github.com/mooring-dev/mooring/policies/ruletest"
	"github.com/mooring-dev/mooring/test/controlplane"
)

// exported are the checks that the API server makes itself.
var exported = map[string][]string{
	"scale-down":        {"quorum", "to-zero", "step", "floor"},
	"retention-policy":  {"required", "weakening"},
	"update-strategy":   {"required"},
	"termination-grace": {"zero"},
	"delete-protection": {"protected", "data", "in-use", "namespace"},
}

// unseen are cases with a finding that the API server cannot make.
var unseen = map[string]string{
	"delete-protection/a StatefulSet whose claims are deleted with it":                  "claims without a Pod",
	"delete-protection/the claim of a Pod that outlived its StatefulSet":                "Pods are not read",
	"delete-protection/a namespace with the claims of a StatefulSet":                    "claims without a Pod",
	"delete-protection/a namespace with the claims of a deleted StatefulSet":            "claims are not read",
	"delete-protection/a namespace with a protected claim":                              "claims are not read",
	"delete-protection/a namespace with a claim that Velero restored":                   "claims are not read",
	"delete-protection/a namespace with a claim that a member mounts by name":           "Pods are not read",
	"delete-protection/a claim that a member mounts by name":                            "Pods are not read",
	"delete-protection/a StatefulSet with whenDeleted: Delete whose Pod was ready once": "Pods are not read",
	"scale-down/three to two while Pod 0 is not ready":                                  "which of the Pods are ready is not in the status",
}

// TestNativeAgreesWithRules plays the rules' cases on an API server with only the exported policies: what it can check, it must
// find, and it must never refuse what the rule allows.
func TestNativeAgreesWithRules(t *testing.T) {
	cp := controlplane.Start(t, controlplane.Options{
		WithoutControllers: true,
		APIServerArgs:      []string{"--disable-admission-plugins=ServiceAccount"},
	})
	admin := newClient(t, cp.Kubeconfig, nil)
	kubeconfig, err := cp.KubeconfigFor("player", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	plays := playsOf(t, func(rule policies.Rule, c ruletest.Case) bool {
		// The API server cannot see the Pods that a create adopts.
		adopts := rule.ID == "scale-down" && c.Old == nil
		return exported[rule.ID] != nil && playable(c) && !adopts
	})
	options := native.Options{ExcludedNamespaces: native.DefaultExcludedNamespaces, Controllers: policies.Controllers()}
	for _, p := range plays {
		options.Policies = append(options.Policies, p.policy)
	}
	install(t, admin, options)
	for _, p := range plays {
		t.Run(p.rule.ID+"/"+p.c.Name, func(t *testing.T) {
			t.Parallel()
			ch := p.stage(t, admin)
			count(t, admin, p.policy.Name, p.c)
			want := slices.DeleteFunc(slices.Clone(p.c.Want), func(check string) bool {
				return !slices.Contains(exported[p.rule.ID], check) // check:Warn is none that denies
			})
			player := newClient(t, p.as(t, cp, kubeconfig), nil)
			compare := func(way string, err error) {
				t.Helper()
				got, err := found(err)
				if err != nil {
					t.Fatal(err)
				}
				for _, check := range got {
					if !slices.Contains(want, check) {
						t.Errorf("%s: the API server finds %s; the rule finds only %q", way, check, want)
					}
				}
				why := unseen[p.rule.ID+"/"+p.c.Name]
				switch missed := len(want) > 0 && len(got) == 0; {
				case missed && why == "":
					t.Errorf("%s: the API server lets pass what the rule refuses for %q", way, want)
				case !missed && why != "":
					t.Errorf("%s: the API server refuses the request, although %s", way, why)
				}
			}
			newer, sets := ch.New.(*appsv1.StatefulSet)
			if sets && ch.Old != nil && p.rule.ID == "scale-down" && newer.Spec.Ordinals == nil {
				scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: *newer.Spec.Replicas}}
				compare("kubectl scale", player.SubResource("scale").Update(t.Context(), ch.Old.(client.Object).DeepCopyObject().(client.Object), client.WithSubResourceBody(scale), client.DryRunAll))
			}
			if sets && ch.Old != nil {
				// Its status was written since.
				if err := admin.Get(t.Context(), client.ObjectKeyFromObject(newer), ch.Old.(client.Object)); err != nil {
					t.Fatal(err)
				}
			}
			compare("the request", request(t, player, ch, p.c.DryRun))
		})
	}
}

// count writes the status that the StatefulSets' controller would have written.
func count(t *testing.T, admin client.Client, namespace string, c ruletest.Case) {
	t.Helper()
	var sets appsv1.StatefulSetList
	if err := admin.List(t.Context(), &sets, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for i := range sets.Items {
		status := &sets.Items[i].Status
		status.ReadyReplicas = int32(len(c.Ready))
		status.Replicas = max(status.Replicas, int32(len(c.Ready)+len(c.NotReady)))
		if err := admin.Status().Update(t.Context(), &sets.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// install creates the exported objects, and waits until the API server enforces a policy that was created after them.
func install(t *testing.T, admin client.Client, o native.Options) {
	t.Helper()
	objects, err := native.Export(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if err := admin.Create(t.Context(), object.(client.Object)); err != nil {
			t.Fatal(err)
		}
	}
	last := metav1.ObjectMeta{Name: "last"}
	rule := admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
	for _, o := range []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: last, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{rule}},
			Validations:      []admissionregistrationv1.Validation{{Expression: "object.metadata.name != 'last'", Reason: new(metav1.StatusReasonForbidden)}},
		}},
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: last, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "last", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		}},
	} {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	await(t, func() error {
		err := admin.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "last", Namespace: "default"}}, client.DryRunAll)
		if apierrors.IsForbidden(err) {
			return nil
		}
		return fmt.Errorf("the last policy does not hold yet: %v", err)
	})
}

var checkInMessage = regexp.MustCompile(`denied request: [a-z-]+/([a-z-]+): `)

// found returns the checks with which a policy refused the request, or the error if it failed otherwise.
func found(err error) ([]string, error) {
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().Details == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
		return nil, err
	}
	var checks []string
	for _, cause := range status.Status().Details.Causes {
		match := checkInMessage.FindStringSubmatch(cause.Message)
		if match == nil {
			return nil, fmt.Errorf("a cause that names no check: %s", cause.Message)
		}
		checks = append(checks, match[1])
	}
	return checks, nil
}
