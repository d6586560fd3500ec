package policies_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

func TestDefaults(t *testing.T) {
	strategy := func(s string) string { return "rules: {updateStrategy: {action: Deny, default: {" + s + "}}}" }
	retention := func(s string) string { return "rules: {retentionPolicy: {action: Deny, default: {" + s + "}}}" }
	const plain = "kind: StatefulSet"
	const told = `{kind: StatefulSet, metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{}}'}}}`
	for name, test := range map[string]struct {
		policies     []v1alpha1.StatefulPolicy
		older, newer string
		scale        bool
		// fields and reported have the form path=value@policy; patch is the JSON patch.
		fields, reported []string
		patch            string
	}{
		"no default": {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {updateStrategy: {action: Deny}}")}, newer: plain},
		"a rule that is off": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {updateStrategy: {action: 'Off', default: {type: OnDelete}}}")}, newer: plain,
		},
		"a rule with action Audit in a policy in mode Enforce": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {updateStrategy: {action: Audit, default: {partition: 3}}}")}, newer: plain,
			fields: []string{"spec.updateStrategy.rollingUpdate.partition=3@a"},
			patch:  `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":3,"maxUnavailable":1}}}]`,
		},
		"the API's own default": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("type: RollingUpdate, partition: 0, maxUnavailable: 1")), policy(t, "b", retention("whenDeleted: Retain"))},
			newer:    plain,
		},
		"a percentage": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("maxUnavailable: 34%"))}, newer: plain,
			fields: []string{"spec.updateStrategy.rollingUpdate.maxUnavailable=34%@a"},
			patch:  `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":0,"maxUnavailable":"34%"}}}]`,
		},
		"a value other than the API's default counts as set": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3"))},
			newer:    "{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 1}}}}",
		},
		"on an update": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3"))}, older: plain, newer: plain,
			fields: []string{"spec.updateStrategy.rollingUpdate.partition=3@a"},
			patch:  `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":3,"maxUnavailable":1}}}]`,
		},
		"not on a scale, which has no such fields": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3"))}, older: plain, newer: plain, scale: true,
		},
		"not on a delete": {policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3"))}, older: plain},

		"OnDelete drops the parameters of a rolling update": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("type: OnDelete"))}, newer: plain,
			fields: []string{"spec.updateStrategy.type=OnDelete@a"},
			patch:  `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]`,
		},
		"no OnDelete where the user wrote parameters of a rolling update": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("type: OnDelete"))},
			newer: `{kind: StatefulSet, metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration:
  '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'}}}`,
		},
		"no partition under the user's OnDelete": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3, maxUnavailable: 2"))},
			newer:    "{kind: StatefulSet, spec: {updateStrategy: {type: OnDelete}}}",
		},
		"no partition under another policy's OnDelete": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3")), policy(t, "b", "priority: 1\n"+strategy("type: OnDelete"))},
			newer:    plain,
			fields:   []string{"spec.updateStrategy.type=OnDelete@b"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]`,
		},
		"a rolling update without rollingUpdate": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3"))},
			newer:    "{kind: StatefulSet, spec: {updateStrategy: {type: RollingUpdate}}}",
			fields:   []string{"spec.updateStrategy.rollingUpdate.partition=3@a"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":3}}}]`,
		},

		"retention Delete on a create by a client that does not show what it sets": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", retention("whenScaled: Delete"))}, newer: plain,
		},
		"retention Delete on a create that does not set the field": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", retention("whenScaled: Delete"))}, newer: told,
			fields: []string{"spec.persistentVolumeClaimRetentionPolicy.whenScaled=Delete@a"},
			patch:  `[{"op":"add","path":"/spec/persistentVolumeClaimRetentionPolicy","value":{"whenDeleted":"Retain","whenScaled":"Delete"}}]`,
		},
		"retention Delete never on an update": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", retention("whenDeleted: Delete, whenScaled: Delete"))}, older: plain, newer: plain,
		},
		"no retention without claims": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", retention("whenScaled: Delete"))},
			newer:    "{kind: StatefulSet, spec: {volumeClaimTemplates: null}}",
		},

		"the policy with the higher priority wins": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 1")), policy(t, "b", "priority: 1\n"+strategy("partition: 2"))},
			newer:    plain,
			fields:   []string{"spec.updateStrategy.rollingUpdate.partition=2@b"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":2,"maxUnavailable":1}}}]`,
		},
		"the first policy by name wins at the same priority": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "b", strategy("partition: 2")), policy(t, "a", strategy("partition: 1"))},
			newer:    plain,
			fields:   []string{"spec.updateStrategy.rollingUpdate.partition=1@a"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":1,"maxUnavailable":1}}}]`,
		},
		"the higher priority asks for the API's own default": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", retention("whenScaled: Delete")), policy(t, "b", "priority: 1\n"+retention("whenScaled: Retain"))},
			newer:    plain,
		},
		"two policies, two fields, one patch": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 1")), policy(t, "b", strategy("partition: 2, maxUnavailable: 2"))},
			newer:    plain,
			fields: []string{
				"spec.updateStrategy.rollingUpdate.partition=1@a",
				"spec.updateStrategy.rollingUpdate.maxUnavailable=2@b",
			},
			patch: `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":1,"maxUnavailable":2}}}]`,
		},

		"a policy in mode Audit reports, but does not patch": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "mode: Audit\n"+strategy("partition: 3"))}, newer: plain,
			reported: []string{"spec.updateStrategy.rollingUpdate.partition=3@a"},
		},
		"a policy in mode Audit does not prevent another's default": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "priority: 1\nmode: Audit\n"+strategy("partition: 3")), policy(t, "b", strategy("partition: 2"))},
			newer:    plain,
			fields:   []string{"spec.updateStrategy.rollingUpdate.partition=2@b"},
			reported: []string{"spec.updateStrategy.rollingUpdate.partition=3@a"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":2,"maxUnavailable":1}}}]`,
		},
		"a policy in mode Audit with a lower priority reports nothing": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "mode: Audit\n"+strategy("partition: 3")), policy(t, "b", "priority: 1\n"+strategy("partition: 2"))},
			newer:    plain,
			fields:   []string{"spec.updateStrategy.rollingUpdate.partition=2@b"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":2,"maxUnavailable":1}}}]`,
		},
		"a policy in mode Warn fills in": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "mode: Warn\n"+strategy("type: OnDelete"))}, newer: plain,
			fields: []string{"spec.updateStrategy.type=OnDelete@a"},
			patch:  `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]`,
		},

		"nothing if an operator owns the object": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("partition: 3"))},
			newer:    "{kind: StatefulSet, metadata: {ownerReferences: [{apiVersion: mongodb.com/v1, kind: M, name: m, uid: u, controller: true}]}}",
		},
		"an operator owns the object, with operatorOwned Enforce": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "operatorOwned: Enforce\n"+strategy("type: OnDelete"))},
			newer:    "{kind: StatefulSet, metadata: {ownerReferences: [{apiVersion: mongodb.com/v1, kind: M, name: m, uid: u, controller: true}]}}",
			fields:   []string{"spec.updateStrategy.type=OnDelete@a"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]`,
		},
		"a built-in kind owns the object": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", strategy("type: OnDelete"))},
			newer:    "{kind: StatefulSet, metadata: {ownerReferences: [{apiVersion: apps/v1, kind: M, name: m, uid: u, controller: true}]}}",
			fields:   []string{"spec.updateStrategy.type=OnDelete@a"},
			patch:    `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := only(t, test.policies...)
			ch := change(t, test.older, test.newer)
			ch.Scale = test.scale
			var before kinds.Object
			if ch.New != nil {
				before = ch.New.DeepCopyObject().(kinds.Object)
			}
			filled, err := set.Default(ch, policies.Snapshot{Complete: true})
			if err != nil {
				t.Fatal(err)
			}
			if (filled.Fields != nil || filled.Reported != nil) && !set.Fills("", policies.Snapshot{Complete: true, Objects: []kinds.Object{&corev1.Namespace{}}}) {
				t.Error("the set does not know that it fills in something")
			}
			if diff := cmp.Diff(test.fields, fields(filled.Fields)); diff != "" {
				t.Errorf("filled in (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.reported, fields(filled.Reported)); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
			if got := patchOf(t, filled); got != test.patch {
				t.Errorf("the patch is\n%s, want\n%s", got, test.patch)
			}
			if !reflect.DeepEqual(before, ch.New) {
				t.Errorf("the request's object was changed: %v", cmp.Diff(before, ch.New))
			}
			if test.patch == "" {
				return
			}
			ch.New = patched(t, ch.New, filled)
			if again, err := set.Default(ch, policies.Snapshot{Complete: true}); err != nil || again.Patch != nil {
				t.Errorf("the second time the patch is %s, %v", patchOf(t, again), err)
			}
		})
	}
}

// TestFills checks that a request's fields are looked at for defaults exactly where a policy may fill one in.
func TestFills(t *testing.T) {
	partition := policy(t, "a", "match: {namespaceSelector: {matchLabels: {team: data}}}\nrules: {updateStrategy: {action: Deny, default: {partition: 3}}}")
	for name, test := range map[string]struct {
		policies  []v1alpha1.StatefulPolicy
		profile   string
		namespace map[string]string
		want      bool
	}{
		"baseline":                     {profile: "baseline"},
		"restricted":                   {profile: "restricted", want: true},
		"off":                          {profile: "off"},
		"the label chooses baseline":   {profile: "restricted", namespace: map[string]string{policies.ProfileLabel: "baseline"}},
		"the label chooses restricted": {profile: "baseline", namespace: map[string]string{policies.ProfileLabel: "restricted"}, want: true},
		"the label says off":           {profile: "restricted", namespace: map[string]string{policies.ProfileLabel: "off"}},
		"a policy of other namespaces": {policies: []v1alpha1.StatefulPolicy{partition}, profile: "baseline"},
		"a policy of this namespace":   {policies: []v1alpha1.StatefulPolicy{partition}, profile: "off", namespace: map[string]string{"team": "data"}, want: true},
		"a policy without defaults":    {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {updateStrategy: {action: Deny}}")}, profile: "off"},
		"a rule that is off":           {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {retentionPolicy: {action: 'Off', default: {whenScaled: Delete}}}")}, profile: "off"},
		"a policy for volumes":         {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {volumeReclaim: {action: Audit, default: Retain}}")}, profile: "off", want: true},
		"a policy that raises":         {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {scaleDown: {action: Deny, autoscaler: Clamp}}")}, profile: "off", want: false},
		"a policy of certain objects":  {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {objectSelector: {matchLabels: {tier: gold}}}\nrules: {updateStrategy: {action: Deny, default: {partition: 3}}}")}, profile: "off", want: true},
		"an excluded namespace":        {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {namespaces: [shop]}}\nrules: {updateStrategy: {action: Deny, default: {partition: 3}}}")}, profile: "off"},
		"one excluded user":            {policies: []v1alpha1.StatefulPolicy{policy(t, "a", "match: {exclude: {users: [ada]}}\nrules: {updateStrategy: {action: Deny, default: {partition: 3}}}")}, profile: "off", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := policies.Compile(rules.All, test.policies, test.profile)
			if err != nil {
				t.Fatal(err)
			}
			shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: test.namespace}}
			if got := set.Fills("shop", policies.Snapshot{Objects: []kinds.Object{shop}, Complete: true}); got != test.want {
				t.Errorf("it fills in something: %t, want %t", got, test.want)
			}
		})
	}
	set, err := policies.Compile(rules.All, nil, "baseline")
	if err != nil {
		t.Fatal(err)
	}
	if !set.Fills("shop", policies.Snapshot{}) {
		t.Error("the profile of the namespace is unknown, but no field is to be filled in")
	}
}

func fields(filled []policies.FilledField) []string {
	var short []string
	for _, f := range filled {
		value, _ := json.Marshal(f.Value)
		short = append(short, f.Path+"="+strings.Trim(string(value), `"`)+"@"+f.Policy)
	}
	return short
}

func patchOf(t *testing.T, filled policies.Filled) string {
	t.Helper()
	if len(filled.Patch) == 0 {
		return ""
	}
	data, err := json.Marshal(filled.Patch)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// patched returns a copy of the StatefulSet with the patch applied and, as on the API server, defaulted again.
func patched(t *testing.T, o kinds.Object, filled policies.Filled) kinds.Object {
	t.Helper()
	set := o.DeepCopyObject().(*appsv1.StatefulSet)
	for _, op := range filled.Patch {
		data, err := json.Marshal(op.Value)
		if err != nil {
			t.Fatal(err)
		}
		switch op.Path {
		case "/spec/updateStrategy":
			set.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{}
			err = json.Unmarshal(data, &set.Spec.UpdateStrategy)
		case "/spec/persistentVolumeClaimRetentionPolicy":
			set.Spec.PersistentVolumeClaimRetentionPolicy = nil
			err = json.Unmarshal(data, &set.Spec.PersistentVolumeClaimRetentionPolicy)
		default:
			t.Fatalf("a patch of %s", op.Path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	kinds.Normalise(set)
	return set
}

// TestDefaultsSatisfyRequirements checks that a policy does not refuse its own defaults.
func TestDefaultsSatisfyRequirements(t *testing.T) {
	set := only(t, policy(t, "a", `rules:
  updateStrategy: {action: Deny, default: {type: OnDelete}, require: OnDelete}
  retentionPolicy: {action: Deny, default: {whenScaled: Delete}, require: {whenScaled: Delete}}`))
	ch := change(t, "", `{kind: StatefulSet, metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{}}'}}}`)
	want := []string{"retention-policy/required:Deny@a", "update-strategy/required:Deny@a"}
	if diff := cmp.Diff(want, judge(t, set, ch, cluster(t))); diff != "" {
		t.Fatalf("findings before (-want +got):\n%s", diff)
	}
	filled, err := set.Default(ch, cluster(t))
	if err != nil {
		t.Fatal(err)
	}
	ch.New = patched(t, ch.New, filled)
	if got := judge(t, set, ch, cluster(t)); got != nil {
		t.Errorf("findings after: %v", got)
	}
}
