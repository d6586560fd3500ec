package policies_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// object returns the base object with the text merged in, as the API server stores it, or nil for an empty text.
func object(t *testing.T, text string) kinds.Object {
	t.Helper()
	o, err := ruletest.Object(text)
	if err != nil {
		t.Fatal(err)
	}
	kinds.Normalise(o)
	return o
}

// change returns the change from one text to the other.
func change(t *testing.T, older, newer string) policies.Change {
	t.Helper()
	ch := policies.Change{Operation: admissionv1.Update, Old: object(t, older), New: object(t, newer)}
	switch {
	case ch.Old == nil:
		ch.Operation = admissionv1.Create
	case ch.New == nil:
		ch.Operation = admissionv1.Delete
	}
	return ch
}

// policy returns a policy with this name and spec.
func policy(t *testing.T, name, spec string) v1alpha1.StatefulPolicy {
	t.Helper()
	p := v1alpha1.StatefulPolicy{}
	p.Name = name
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

// only compiles the policies without a default profile.
func only(t *testing.T, given ...v1alpha1.StatefulPolicy) *policies.Set {
	t.Helper()
	set, err := policies.Compile(rules.All, given, policies.ProfileOff)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// cluster returns a complete cluster that holds the objects.
func cluster(t *testing.T, objects ...string) policies.Snapshot {
	t.Helper()
	s := policies.Snapshot{Complete: true}
	for _, text := range objects {
		s.Objects = append(s.Objects, object(t, text))
	}
	return s
}

// judge returns the change's findings as rule/check:action@policy.
func judge(t *testing.T, set *policies.Set, ch policies.Change, c policies.Cluster) []string {
	t.Helper()
	verdict, err := set.Judge(ch, c)
	if err != nil {
		t.Fatal(err)
	}
	return short(verdict)
}

// short returns the verdict's findings as rule/check:action@policy.
func short(verdict policies.Verdict) []string {
	var short []string
	for _, f := range verdict.Findings {
		short = append(short, f.ID()+":"+string(f.Action)+"@"+f.Policy)
	}
	return short
}

func TestStrictestWins(t *testing.T) {
	const deny, warn, audit, off = "rules: {headlessService: {action: Deny}}", "rules: {headlessService: {action: Warn}}",
		"rules: {headlessService: {action: Audit}}", "rules: {headlessService: {action: 'Off'}}"
	for name, test := range map[string]struct {
		policies []v1alpha1.StatefulPolicy
		want     []string
	}{
		"no policy": {},
		"off": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", off)},
		},
		"a rule without a block is off": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {scaleDown: {action: Deny}}")},
		},
		"the stricter action wins over the earlier name": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", warn), policy(t, "b", deny), policy(t, "c", audit)},
			want:     []string{"headless-service/missing:Deny@b"},
		},
		"the stricter action wins over the higher priority": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "priority: 9\n"+warn), policy(t, "b", deny)},
			want:     []string{"headless-service/missing:Deny@b"},
		},
		"action Off does not override another policy": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "priority: 9\n"+off), policy(t, "b", audit)},
			want:     []string{"headless-service/missing:Audit@b"},
		},
		"the first policy by name wins at the same action": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "b", deny), policy(t, "a", deny)},
			want:     []string{"headless-service/missing:Deny@a"},
		},
		"the highest priority wins at the same action": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", deny), policy(t, "b", "priority: 1\n"+deny)},
			want:     []string{"headless-service/missing:Deny@b"},
		},
		"a check's own action overrides the rule's": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {headlessService: {action: Audit, missing: Deny}}")},
			want:     []string{"headless-service/missing:Deny@a"},
		},
		"a check that is off": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "rules: {headlessService: {action: Deny, missing: 'Off'}}")},
		},
		"the action after the caps counts": {
			policies: []v1alpha1.StatefulPolicy{policy(t, "a", "mode: Audit\n"+deny), policy(t, "b", warn)},
			want:     []string{"headless-service/missing:Warn@b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(t, only(t, test.policies...), change(t, "", "kind: StatefulSet"), cluster(t))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindingsAreOrderedAndComplete(t *testing.T) {
	set := only(t, policy(t, "a", `rules:
  headlessService: {action: Warn}
  updateStrategy: {action: Deny}
  retentionPolicy: {action: Deny, require: {whenDeleted: Delete, whenScaled: Delete}}`))
	ch := change(t, "", "{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 3, maxUnavailable: 3}}}}")
	verdict, err := set.Judge(ch, cluster(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range verdict.Findings {
		got = append(got, f.ID()+" "+f.Path)
		if want := (policies.Ref{"apps/v1", "StatefulSet", "shop", "db"}); f.Object != want {
			t.Errorf("%s is about %s, want %s", f.ID(), f.Object, want)
		}
		rule, _ := policies.Find(rules.All, f.Rule)
		if f.Policy != "a" || f.Docs != rule.DocsURL() || f.Severity != rule.Severity {
			t.Errorf("%s lacks its policy, its documentation or its severity: %+v", f.ID(), f)
		}
	}
	want := []string{
		"retention-policy/required spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
		"retention-policy/required spec.persistentVolumeClaimRetentionPolicy.whenScaled",
		"update-strategy/partition spec.updateStrategy.rollingUpdate.partition",
		"update-strategy/quorum spec.updateStrategy.rollingUpdate.maxUnavailable",
		"headless-service/missing spec.serviceName",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if !verdict.Denied() || len(verdict.With(v1alpha1.Deny)) != 4 || len(verdict.With(v1alpha1.Warn)) != 1 {
		t.Errorf("want 4 denials and 1 warning: %v", verdict.Findings)
	}
}

func TestCaps(t *testing.T) {
	const plain = "kind: StatefulSet"
	for name, test := range map[string]struct {
		spec         string
		older, newer string
		dryRun       bool
		want         string
		note         string
	}{
		"mode Enforce": {spec: "mode: Enforce", newer: plain, want: "Deny"},
		"no mode":      {newer: plain, want: "Deny"},
		"mode Warn":    {spec: "mode: Warn", newer: plain, want: "Warn", note: "mode is Warn"},
		"mode Audit":   {spec: "mode: Audit", newer: plain, want: "Audit", note: "mode is Audit"},

		"it was missing before":                           {older: plain, newer: plain, want: "Warn", note: "unchanged by this update"},
		"it was missing before, where the mode audits":    {spec: "mode: Audit", older: plain, newer: plain, want: "Audit", note: "mode is Audit"},
		"pending in a dry run":                            {newer: plain, dryRun: true, want: "Warn", note: "dry run"},
		"pending in a dry run, where the mode only warns": {spec: "mode: Warn", newer: plain, dryRun: true, want: "Warn", note: "dry run"},
	} {
		t.Run(name, func(t *testing.T) {
			set := only(t, policy(t, "a", test.spec+"\nrules: {headlessService: {action: Deny}}"))
			ch := change(t, test.older, test.newer)
			ch.DryRun = test.dryRun
			verdict, err := set.Judge(ch, cluster(t))
			if err != nil || len(verdict.Findings) != 1 {
				t.Fatalf("want one finding: %v, %v", verdict, err)
			}
			f := verdict.Findings[0]
			if string(f.Action) != test.want {
				t.Errorf("the action is %s, want %s", f.Action, test.want)
			}
			if (f.Note == "") != (test.note == "") || !strings.Contains(f.Note, test.note) {
				t.Errorf("the note is %q, want one with %q", f.Note, test.note)
			}
		})
	}
}

func TestRatchet(t *testing.T) {
	const rules = `rules:
  updateStrategy: {action: Deny, require: RollingUpdate}
  headlessService: {action: Deny}
  retentionPolicy: {action: Deny, require: {whenDeleted: Retain, whenScaled: Retain}}`
	strategy := func(s string) string { return "{kind: StatefulSet, spec: {updateStrategy: {" + s + "}}}" }
	retention := func(s string) string {
		return "{kind: StatefulSet, spec: {persistentVolumeClaimRetentionPolicy: {" + s + "}}}"
	}
	for name, test := range map[string]struct {
		older, newer string
		want         []string
	}{
		"a create has nothing to stand on": {
			newer: strategy("rollingUpdate: {maxUnavailable: 2}"), want: []string{"update-strategy/quorum:Deny@a"},
		},
		"new with this update": {
			older: strategy(""), newer: strategy("rollingUpdate: {maxUnavailable: 2}"), want: []string{"update-strategy/quorum:Deny@a"},
		},
		"as bad as before": {
			older: strategy("rollingUpdate: {maxUnavailable: 2}"), newer: strategy("rollingUpdate: {maxUnavailable: 2}"),
			want: []string{"update-strategy/quorum:Warn@a"},
		},
		"worse than before": {
			older: strategy("rollingUpdate: {maxUnavailable: 2}"), newer: strategy("rollingUpdate: {maxUnavailable: 3}"),
			want: []string{"update-strategy/quorum:Deny@a"},
		},
		"worse than before because fewer are left": {
			older: "{kind: StatefulSet, spec: {replicas: 5, updateStrategy: {rollingUpdate: {maxUnavailable: 3}}}}",
			newer: strategy("rollingUpdate: {maxUnavailable: 3}"),
			want:  []string{"update-strategy/quorum:Deny@a"},
		},
		"better than before, and still bad": {
			older: strategy("rollingUpdate: {maxUnavailable: 3}"), newer: strategy("rollingUpdate: {maxUnavailable: 2}"),
			want: []string{"update-strategy/quorum:Warn@a"},
		},
		"mended": {
			older: strategy("rollingUpdate: {maxUnavailable: 3}"), newer: strategy("rollingUpdate: {maxUnavailable: 1}"),
		},
		"another check of the same rule": {
			older: strategy("type: OnDelete"), newer: strategy("rollingUpdate: {partition: 3}"),
			want: []string{"update-strategy/partition:Deny@a"},
		},
		"the same check of another field": {
			older: retention("whenScaled: Delete"), newer: retention("whenDeleted: Delete, whenScaled: Delete"),
			want: []string{
				"retention-policy/required:Deny@a", // whenDeleted
				"retention-policy/weakening:Deny@a",
				"retention-policy/required:Warn@a", // whenScaled
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(t, only(t, policy(t, "a", rules)), change(t, test.older, test.newer), cluster(t, "kind: Service"))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownNeverDenies(t *testing.T) {
	set := only(t, policy(t, "a", `rules:
  headlessService: {action: Deny}
  scaleDown: {action: Deny}`))
	const deletes = "{kind: StatefulSet, spec: {replicas: %, persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}"
	for name, test := range map[string]struct {
		ch   policies.Change
		want []string
	}{
		"a Service that is not in the files": {
			ch: change(t, "", "kind: StatefulSet"), want: []string{"headless-service/missing:Warn@a"},
		},
		"Pods and claims that are not in the files": {
			ch:   change(t, strings.Replace(deletes, "%", "3", 1), strings.Replace(deletes, "%", "1", 1)),
			want: []string{"headless-service/missing:Warn@a", "scale-down/data:Warn@a", "scale-down/quorum:Warn@a"},
		},
		"StatefulSets that rely on a Service": {ch: change(t, "kind: Service", "")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, judge(t, set, test.ch, policies.Snapshot{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// broken is a Cluster whose reads of some resources, or of "bypass", fail or are unknown.
type broken struct {
	policies.Snapshot
	errs    map[string]error
	unknown string
}

func (b broken) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	if kind.Resource == b.unknown {
		return nil, false, nil
	}
	o, known, _ := b.Snapshot.Get(kind, namespace, name)
	return o, known, b.errs[kind.Resource]
}

func (b broken) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	if kind.Resource == b.unknown {
		return nil, false, nil
	}
	all, known, _ := b.Snapshot.List(kind, namespace, selector)
	return all, known, b.errs[kind.Resource]
}

func (b broken) MayBypass(policy, namespace string) (bool, bool, error) {
	may, _, _ := b.Snapshot.MayBypass(policy, namespace)
	return may, b.unknown != "bypass", b.errs["bypass"]
}

func TestFailingRead(t *testing.T) {
	set := only(t, policy(t, "a", `rules:
  headlessService: {action: Deny}
  scaleDown: {action: Deny}`))
	const bypassed = `{kind: StatefulSet, metadata: {annotations: {mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: why}},
  spec: {replicas: 0, persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}`
	scale := change(t, "kind: StatefulSet", bypassed)
	for read, ch := range map[string]policies.Change{
		"namespaces":             scale,
		"services":               scale,
		"statefulsets":           change(t, "kind: Service", ""),
		"pods":                   scale,
		"persistentvolumeclaims": scale,
		"poddisruptionbudgets":   scale,
		"bypass":                 scale,
	} {
		cause := errors.New("the API server is away")
		t.Run(read, func(t *testing.T) {
			c := cluster(t, "kind: Service")
			if _, err := set.Judge(ch, broken{Snapshot: c, errs: map[string]error{read: cause}}); !errors.Is(err, cause) {
				t.Errorf("the read failed and the verdict stands: %v", err)
			}
			if _, err := set.Judge(ch, broken{Snapshot: c, unknown: read}); err != nil {
				t.Errorf("what is unknown is no error: %v", err)
			}
		})
	}
	t.Run("Namespace of defaults", func(t *testing.T) {
		cause := errors.New("the API server is away")
		c := broken{Snapshot: cluster(t), errs: map[string]error{"namespaces": cause}}
		if _, err := set.Default(change(t, "", "kind: StatefulSet"), c); !errors.Is(err, cause) {
			t.Errorf("the read failed and defaults were chosen: %v", err)
		}
	})
}

// A file can hold invalid objects: rules may find nothing in them, but must not panic.
func TestObjectsThatAreHardlyThere(t *testing.T) {
	set, err := policies.Compile(rules.All, nil, "restricted")
	if err != nil {
		t.Fatal(err)
	}
	bare := func(replicas int32) kinds.Object {
		s := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{ServiceName: "db", Replicas: &replicas}}
		s.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("StatefulSet"))
		s.Name, s.Namespace = "db", "shop"
		return s
	}
	service := &corev1.Service{}
	service.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	service.Name, service.Namespace = "db", "shop"
	for name, ch := range map[string]policies.Change{
		"created":             {Operation: admissionv1.Create, New: bare(3)},
		"scaled":              {Operation: admissionv1.Update, Old: bare(3), New: bare(1)},
		"negative replicas":   {Operation: admissionv1.Update, Old: bare(-3), New: bare(-5)},
		"its Service updated": {Operation: admissionv1.Update, Old: service, New: service},
		"its Service deleted": {Operation: admissionv1.Delete, Old: service},
	} {
		for where, c := range map[string]policies.Snapshot{
			"alone":            {Complete: true},
			"among files":      {},
			"with its Service": {Complete: true, Objects: []kinds.Object{service, bare(3)}},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				if _, err := set.Judge(ch, c); err != nil {
					t.Error(err)
				}
				if _, err := set.Default(ch, c); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
