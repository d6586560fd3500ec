package ruletest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

// Case is a request, or an object of a live cluster, with the expected findings.
type Case struct {
	// name describes the case in a few words.
	Name string `json:"name"`
	// policy is the block of the file's rule. Defaults to action Deny, or Warn for an object of a live cluster.
	Policy Manifest `json:"policy,omitempty"`
	// rules are blocks of other rules in the same policy, if the file's rule uses them.
	Rules map[string]Manifest `json:"rules,omitempty"`
	// old is the object before the request. If absent, the request creates the object.
	Old Manifest `json:"old,omitempty"`
	// new is the requested object. If absent, the request deletes the object.
	New Manifest `json:"new,omitempty"`
	// stands is an object of a live cluster, judged as mooring audit does. It replaces the request.
	Stands Manifest `json:"stands,omitempty"`
	// given are other existing objects. Each replaces the file's object of the same kind and name.
	Given []Manifest `json:"given,omitempty"`
	// without lists kinds whose given objects in the file do not exist in this case.
	Without []string `json:"without,omitempty"`
	// ready lists ordinals of the StatefulSet whose Pods exist and are ready.
	Ready []int32 `json:"ready,omitempty"`
	// notReady lists ordinals whose Pods exist and are not ready.
	NotReady []int32 `json:"notReady,omitempty"`
	// claims lists ordinals whose PersistentVolumeClaims exist.
	Claims []int32 `json:"claims,omitempty"`
	// user is the name of the user who makes the request, a service account as system:serviceaccount:NAMESPACE:NAME.
	User string `json:"user,omitempty"`
	// groups are the groups of the user.
	Groups []string `json:"groups,omitempty"`
	// bypasses lists the policies for which the user has the verb bypass.
	Bypasses []string `json:"bypasses,omitempty"`
	// unserved lists kinds of owners that the cluster does not serve.
	Unserved []string `json:"unserved,omitempty"`
	// at is the time of the request. Defaults to 2026-07-01T12:00:00Z.
	At *metav1.Time `json:"at,omitempty"`
	// scale means that the request updates the scale subresource, as kubectl scale and autoscalers do.
	Scale bool `json:"scale,omitempty"`
	// deleteOptions are the options of a delete.
	DeleteOptions *metav1.DeleteOptions `json:"deleteOptions,omitempty"`
	// dryRun means that the request is a dry run.
	DryRun bool `json:"dryRun,omitempty"`
	// inFiles means that the change is between two revisions of files, as for mooring check --base.
	InFiles bool `json:"inFiles,omitempty"`
	// replacement is the StatefulSet that replaces one removed from the files.
	Replacement Manifest `json:"replacement,omitempty"`
	// patch has the expected default values by path, such as spec.updateStrategy.type. Defaults to none.
	Patch map[string]any `json:"patch,omitempty"`
	// want lists the expected findings: rule/check for Deny, otherwise rule/check:Warn or rule/check:Audit. The rule's name is
	// optional in a file with a rule. Defaults to none: the request passes.
	Want []string `json:"want,omitempty"`

	file *File
	line int
}

// Manifest is an object, or part of one, as decoded from YAML.
type Manifest map[string]any

// Line returns the case's line in its file.
func (c Case) Line() int { return c.line }

// About reports whether the case has an object of the kind, as its subject or around it.
func (c Case) About(kind *kinds.Kind) bool {
	return slices.ContainsFunc(append([]Manifest{c.Old, c.New, c.Stands, c.Replacement}, c.Given...), func(m Manifest) bool { return m["kind"] == kind.Kind })
}

// valid says what is wrong with the case, and in which field.
func (c Case) valid() (string, error) {
	switch {
	case c.Name == "":
		return "", errors.New("the case has no name")
	case c.Policy != nil && c.file.Rule == "":
		return "policy", errors.New("policy needs a rule in the file")
	case c.Rules != nil && c.file.Rule == "":
		return "rules", errors.New("rules needs a rule in the file")
	case c.Stands != nil && (c.Old != nil || c.New != nil):
		return "stands", errors.New("use either stands, or old and new")
	case c.Stands == nil && c.Old == nil && c.New == nil:
		return "", fmt.Errorf("the case %q has no object. Fix: add old, new or both, or stands", c.Name)
	}
	for i, want := range c.Want {
		if err := c.validWant(want); err != nil {
			return fmt.Sprintf("want[%d]", i), err
		}
	}
	_, err := c.build()
	return "", err
}

// validWant rejects a finding that no rule can report, because it would always fail.
func (c Case) validWant(want string) error {
	id, action, given := strings.Cut(want, ":")
	if given && !slices.Contains([]string{string(v1alpha1.Deny), string(v1alpha1.Warn), string(v1alpha1.Audit)}, action) {
		return fmt.Errorf("%q: %q is not an action. Fix: use Deny, Warn or Audit", want, action)
	}
	if !strings.Contains(id, "/") {
		if c.file.Rule == "" {
			return fmt.Errorf("%q: want must be rule/check, such as scale-down/quorum", want)
		}
		id = c.file.Rule + "/" + id
	}
	if !policies.Named(rules.All, id) {
		return policies.UnknownRule(rules.All, id)
	}
	return nil
}

// Play is a case as the engine gets it.
type Play struct {
	Change   policies.Change
	Cluster  policies.Snapshot
	Policies []v1alpha1.StatefulPolicy
	// Profile is the profile of namespaces that choose none.
	Profile string
	// Clock is set if the object is judged by itself, without a request.
	Clock policies.Clock
}

// Clock is the time of the cases that set no other.
var Clock = policies.Clock{Now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), StuckAfter: 5 * time.Minute}

// Build returns the case's change, the cluster around it, and its policies. The objects are raw, as a user sends them; Set makes
// them what the API server stores.
func (c Case) Build() (Play, error) {
	p, err := c.build()
	if err != nil {
		return p, fmt.Errorf("case %q: %w", c.Name, err)
	}
	return p, nil
}

func (c Case) build() (Play, error) {
	clock := Clock
	if c.At != nil {
		clock.Now = c.At.Time
	}
	p := Play{
		Change: policies.Change{
			Operation: admissionv1.Update, DryRun: c.DryRun, InFiles: c.InFiles, Scale: c.Scale, DeleteOptions: c.DeleteOptions,
			User: authenticationv1.UserInfo{Username: c.User, Groups: c.Groups}, Time: clock.Now,
		},
		Cluster: policies.Snapshot{Complete: !c.InFiles, Bypass: c.Bypasses, Unserved: c.Unserved},
		Profile: c.file.Profile,
	}
	if p.Profile == "" {
		p.Profile = policies.ProfileOff
	}
	var err error
	if p.Change.Old, p.Change.UnknownBefore, err = c.file.decode(c.Old); err != nil {
		return p, err
	}
	if p.Change.New, p.Change.Unknown, err = c.file.decode(c.New); err != nil {
		return p, err
	}
	if unknown := slices.Concat(p.Change.UnknownBefore, p.Change.Unknown); len(unknown) > 0 && !c.InFiles {
		return p, noField(unknown)
	}
	if c.Stands != nil {
		if p.Change.New, err = c.file.object(c.Stands); err != nil {
			return p, err
		}
		p.Clock = clock
	}
	switch {
	case p.Change.Old == nil:
		p.Change.Operation = admissionv1.Create
	case p.Change.New == nil:
		p.Change.Operation = admissionv1.Delete
	}
	replacement, err := c.file.object(c.Replacement)
	if err != nil {
		return p, err
	}
	p.Change.Replacement, _ = replacement.(*appsv1.StatefulSet)
	if p.Cluster.Objects, err = c.around(p.Change.Object()); err != nil {
		return p, err
	}
	p.Policies, err = c.policies()
	return p, err
}

// policies returns the policies that judge the case: the file's, or one with the rule's block alone.
func (c Case) policies() ([]v1alpha1.StatefulPolicy, error) {
	if c.file.Rule == "" {
		return c.file.policies, nil
	}
	block := c.Policy
	if block == nil {
		block = Manifest{"action": v1alpha1.Deny}
		if c.Stands != nil {
			block = Manifest{"action": v1alpha1.Warn}
		}
	}
	one := v1alpha1.StatefulPolicy{ObjectMeta: metav1.ObjectMeta{Name: "example"}}
	blocks := maps.Clone(c.Rules)
	if blocks == nil {
		blocks = map[string]Manifest{}
	}
	blocks[c.file.rule.Block()] = block
	text, err := yaml.Marshal(blocks)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(text, &one.Spec.Rules); err != nil {
		return nil, err
	}
	return []v1alpha1.StatefulPolicy{one}, nil
}

// around returns the objects around the case's subject.
func (c Case) around(subject kinds.Object) ([]kinds.Object, error) {
	own := slices.Clone(c.Given)
	if subject != nil {
		own = append(own, Manifest{"kind": kinds.Of(subject).Kind, "metadata": map[string]any{"name": subject.GetName()}})
	}
	var all []kinds.Object
	for _, m := range c.file.Given {
		o, err := c.file.object(m)
		if err != nil {
			return nil, err
		}
		name := kinds.Of(o).Kind
		if !slices.Contains(c.Without, name) && !slices.ContainsFunc(own, func(m Manifest) bool {
			return m["kind"] == name && (m.name() == "" || m.name() == o.GetName())
		}) {
			all = append(all, o)
		}
	}
	for _, m := range c.Given {
		o, err := c.file.object(m)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	if len(c.Ready)+len(c.NotReady)+len(c.Claims) == 0 {
		return all, nil
	}
	set, err := c.members(subject, all)
	if err != nil {
		return nil, err
	}
	for _, n := range c.Ready {
		all = append(all, podOf(set, n, corev1.ConditionTrue))
	}
	for _, n := range c.NotReady {
		all = append(all, podOf(set, n, corev1.ConditionFalse))
	}
	for _, n := range c.Claims {
		for i := range set.Spec.VolumeClaimTemplates {
			all = append(all, claimOf(set, i, n))
		}
	}
	return all, nil
}

// members returns the StatefulSet that the case's ordinals refer to: its subject, one around it, or the file's manifest.
func (c Case) members(subject kinds.Object, around []kinds.Object) (*appsv1.StatefulSet, error) {
	for _, o := range append([]kinds.Object{subject}, around...) {
		if set, ok := o.(*appsv1.StatefulSet); ok {
			return set, nil
		}
	}
	o, err := c.file.object(Manifest{"kind": kinds.StatefulSet.Kind})
	if err != nil {
		return nil, fmt.Errorf("ready, notReady and claims need a StatefulSet: %w", err)
	}
	return o.(*appsv1.StatefulSet), nil
}

// podOf returns a member without an owner, because the owner's UID is not known yet.
func podOf(set *appsv1.StatefulSet, ordinal int32, ready corev1.ConditionStatus) *corev1.Pod {
	pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}}
	pod.Namespace, pod.Name = set.Namespace, fmt.Sprintf("%s-%d", set.Name, ordinal)
	pod.Labels = map[string]string{appsv1.StatefulSetPodNameLabel: pod.Name}
	for key, value := range set.Spec.Template.Labels {
		pod.Labels[key] = value
	}
	pod.Annotations = set.Spec.Template.Annotations
	set.Spec.Template.Spec.DeepCopyInto(&pod.Spec)
	pod.Spec.NodeName = "node-1"
	for i := range set.Spec.VolumeClaimTemplates {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: set.Spec.VolumeClaimTemplates[i].Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimOf(set, i, ordinal).Name},
		}})
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	return pod
}

func claimOf(set *appsv1.StatefulSet, template int, ordinal int32) *corev1.PersistentVolumeClaim {
	claim := set.Spec.VolumeClaimTemplates[template].DeepCopy()
	claim.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}
	claim.Namespace, claim.Name = set.Namespace, fmt.Sprintf("%s-%s-%d", claim.Name, set.Name, ordinal)
	if claim.Labels == nil && set.Spec.Selector != nil {
		claim.Labels = set.Spec.Selector.MatchLabels
	}
	return claim
}

// Set compiles the case's policies, and makes the objects what the API server stores.
func (p Play) Set() (*policies.Set, error) {
	for _, o := range append(slices.Clone(p.Cluster.Objects), p.Change.Old, p.Change.New) {
		if o != nil {
			kinds.Normalise(o)
		}
	}
	return policies.Compile(rules.All, p.Policies, p.Profile)
}

// Judge judges the case with the engine.
func (c Case) Judge() (policies.Verdict, error) {
	p, set, err := c.compile()
	if err != nil {
		return policies.Verdict{}, err
	}
	return p.Judge(set)
}

// Judge judges the play with the policies.
func (p Play) Judge(set *policies.Set) (policies.Verdict, error) {
	if p.Clock != (policies.Clock{}) {
		return set.Inspect(p.Change.New, p.Cluster, p.Clock)
	}
	return set.Judge(p.Change, p.Cluster)
}

// Default returns the defaults that the policies set.
func (c Case) Default() (policies.Filled, error) {
	p, set, err := c.compile()
	if err != nil {
		return policies.Filled{}, err
	}
	return set.Default(p.Change, p.Cluster)
}

func (c Case) compile() (Play, *policies.Set, error) {
	p, err := c.Build()
	if err != nil {
		return p, nil, err
	}
	set, err := p.Set()
	return p, set, err
}

// name returns the manifest's name, if it has one.
func (m Manifest) name() string {
	meta, _ := m["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	return name
}

// object merges the manifest into the file's manifest of its kind and name, or of its kind; nil for no manifest.
func (f *File) object(m Manifest) (kinds.Object, error) {
	o, unknown, err := f.decode(m)
	if err == nil && len(unknown) > 0 {
		err = noField(unknown)
	}
	return o, err
}

func noField(unknown []string) error {
	return fmt.Errorf("unknown field %s", words.List(unknown))
}

// decode is object, and also returns the fields that Kubernetes does not know.
func (f *File) decode(m Manifest) (o kinds.Object, unknown []string, err error) {
	if m == nil {
		return nil, nil, nil
	}
	name, _ := m["kind"].(string)
	apiVersion, _ := m["apiVersion"].(string)
	if kinds.IsCustom(schema.FromAPIVersionAndKind(apiVersion, name).Group) {
		o, err := custom(m)
		return o, nil, err
	}
	kind := kinds.Named(name)
	if kind == nil {
		return nil, nil, fmt.Errorf("kind %q: no rule reads such objects", name)
	}
	var original Manifest
	for _, b := range f.base {
		if b["kind"] == name && (original == nil || b.name() == m.name() && original.name() != m.name()) {
			original = b
		}
	}
	o = kind.New()
	merged, err := json.Marshal(m)
	if err == nil && original != nil {
		var base []byte
		if base, err = json.Marshal(original); err == nil {
			merged, err = strategicpatch.StrategicMergePatch(base, merged, o)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if unknown, err = kinds.Decode(merged, o); err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", name, m.name(), err)
	}
	o.GetObjectKind().SetGroupVersionKind(kind.GroupVersionKind)
	if o.GetName() == "" {
		return nil, nil, fmt.Errorf("the %s has no name. Fix: write the whole object, or name a file with a %[1]s under objects", name)
	}
	if kind.Namespaced && o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return o, unknown, nil
}

// custom returns a custom resource, exactly as written.
func custom(m Manifest) (kinds.Object, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	o := &kinds.Custom{}
	if err := o.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	o.Resource = plural.Resource
	return o, nil
}

// brief returns a finding as cases name it: rule/check, and the action after a colon unless it is Deny. In a file with a rule,
// without the rule's name.
func (c Case) brief(f policies.Finding) string {
	s := f.ID()
	if f.Rule == c.file.Rule {
		s = f.Check
	}
	if f.Action != v1alpha1.Deny {
		s += ":" + string(f.Action)
	}
	return s
}
