// Package ruletest reads the cases that rules are tested and documented by, and plays them. It is for tests and for what
// generates documentation; the program holds no cases.
package ruletest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Case is one change and what a rule says of it. It is written as a person would say it, as the difference from an ordinary
// StatefulSet "db" of three replicas with its headless Service (see base.yaml), so that the same few lines serve as the rule's
// test, as the example in its documentation and as a request to a real API server.
type Case struct {
	// Name says what happens, in a few words.
	Name string `json:"name"`
	// Policy is the rule's block in the policy; absent stands for action: Deny.
	Policy Manifest `json:"policy,omitempty"`
	// Old and New are the two sides of the change: a create has no Old, a delete no New.
	Old Manifest `json:"old,omitempty"`
	New Manifest `json:"new,omitempty"`
	// Stands is instead an object of a live cluster, judged as it stands at Now.
	Stands Manifest `json:"stands,omitempty"`
	// Given are other objects around.
	Given []Manifest `json:"given,omitempty"`
	// WithoutService takes away the headless Service.
	WithoutService bool `json:"withoutService,omitempty"`
	// Ready and NotReady are the ordinals whose Pods exist; Claims those whose claims do.
	Ready    []int32 `json:"ready,omitempty"`
	NotReady []int32 `json:"notReady,omitempty"`
	Claims   []int32 `json:"claims,omitempty"`
	// User is who asks, if it matters; DeleteOptions are those of a delete.
	User          string                `json:"user,omitempty"`
	DeleteOptions *metav1.DeleteOptions `json:"deleteOptions,omitempty"`
	// DryRun marks a request that stores nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// InFiles marks a change that only files can show: the API server refuses it before it asks anybody, or nobody there knows.
	InFiles bool `json:"inFiles,omitempty"`
	// Replacement is, of a StatefulSet that goes, the one that comes in its place.
	Replacement Manifest `json:"replacement,omitempty"`
	// Fills is the value that the policy's default puts in, empty for none.
	Fills string `json:"fills,omitempty"`
	// Want are the findings in the form check or, where it is not Deny, check:Action. None: the change passes.
	Want []string `json:"want,omitempty"`
}

// Manifest is an object, or a part of one, as YAML holds it.
type Manifest map[string]any

//go:embed base.yaml
var baseFile []byte

// base are the objects that a case's lines are merged into, by kind.
var base = func() map[string]Manifest {
	var objects map[string]Manifest
	if err := yaml.UnmarshalStrict(baseFile, &objects); err != nil {
		panic(err)
	}
	return objects
}()

// Folder is where the cases are, a file for each rule.
var Folder = func() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "rules", "testdata")
}()

// Of returns the cases of the rule.
func Of(rule policies.Rule) ([]Case, error) {
	file := filepath.Join(Folder, rule.ID+".yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var cases []Case
	if err := yaml.UnmarshalStrict(data, &cases); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cases, nil
}

// About tells whether the case has an object of the kind, as its subject or around it.
func (c Case) About(kind *kinds.Kind) bool {
	return slices.ContainsFunc(append([]Manifest{c.Old, c.New, c.Stands, c.Replacement}, c.Given...), func(m Manifest) bool { return m["kind"] == kind.Kind })
}

// Each calls do with every case of every rule that is about a request, and not about what stands in a live cluster.
func Each(do func(policies.Rule, Case)) error {
	for _, rule := range rules.All {
		cases, err := Of(rule)
		if err != nil {
			return err
		}
		for _, c := range cases {
			if c.Stands == nil {
				do(rule, c)
			}
		}
	}
	return nil
}

// Play is a case as the rule sees it.
type Play struct {
	Change policies.Change
	World  policies.Snapshot
	Policy v1alpha1.StatefulPolicy
	// Clock is set where the object is judged as it stands, and not a change to it.
	Clock policies.Clock
}

// Clock is the time at which cases judge what stands in a cluster.
var Clock = policies.Clock{Now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), StuckAfter: 5 * time.Minute}

// Build returns the case's change, the world around it, and the policy with the rule's block. The objects are raw, as a user
// would send them; Normalise makes of them what the API server stores.
func (c Case) Build(rule policies.Rule) (Play, error) {
	p, err := c.build(rule)
	if err != nil {
		return p, fmt.Errorf("case %q: %w", c.Name, err)
	}
	return p, nil
}

func (c Case) build(rule policies.Rule) (Play, error) {
	p := Play{
		Change: policies.Change{
			Operation: admissionv1.Update, DryRun: c.DryRun, InFiles: c.InFiles, DeleteOptions: c.DeleteOptions,
			User: authenticationv1.UserInfo{Username: c.User}, Time: Clock.Now,
		},
		World: policies.Snapshot{Complete: !c.InFiles},
	}
	var err error
	if p.Change.Old, err = c.Old.Object(); err != nil {
		return p, err
	}
	if p.Change.New, err = c.New.Object(); err != nil {
		return p, err
	}
	if c.Stands != nil {
		if p.Change.New, err = c.Stands.Object(); err != nil {
			return p, err
		}
		p.Clock = Clock
	}
	switch {
	case p.Change.Old == nil:
		p.Change.Operation = admissionv1.Create
	case p.Change.New == nil:
		p.Change.Operation = admissionv1.Delete
	}
	replacement, err := c.Replacement.Object()
	if err != nil {
		return p, err
	}
	p.Change.Replacement, _ = replacement.(*appsv1.StatefulSet)
	for _, m := range c.around(kinds.Of(p.Change.Object()) != kinds.Service) {
		o, err := m.Object()
		if err != nil {
			return p, err
		}
		p.World.Objects = append(p.World.Objects, o)
	}
	block := c.Policy
	if block == nil {
		block = Manifest{"action": v1alpha1.Deny}
		if c.Stands != nil {
			block = Manifest{"action": v1alpha1.Warn}
		}
	}
	p.Policy.Name = "example"
	text, err := yaml.Marshal(map[string]any{rule.Block(): block})
	if err != nil {
		return p, err
	}
	return p, yaml.UnmarshalStrict(text, &p.Policy.Spec.Rules)
}

// around are the manifests of the objects that the case takes place among.
func (c Case) around(withService bool) []Manifest {
	var all []Manifest
	if withService && !c.WithoutService {
		all = append(all, Manifest{"kind": "Service"})
	}
	all = append(all, c.Given...)
	for _, n := range c.Ready {
		all = append(all, pod(n, "True"))
	}
	for _, n := range c.NotReady {
		all = append(all, pod(n, "False"))
	}
	for _, n := range c.Claims {
		all = append(all, Manifest{"kind": "PersistentVolumeClaim", "metadata": Manifest{"name": fmt.Sprintf("data-db-%d", n)}})
	}
	return all
}

// Set compiles the case's policy as the only one, and makes of its objects what the API server stores.
func (p Play) Set() (*policies.Set, error) {
	for _, o := range append(slices.Clone(p.World.Objects), p.Change.Old, p.Change.New) {
		if o != nil {
			kinds.Normalise(o)
		}
	}
	return policies.Compile(rules.All, []v1alpha1.StatefulPolicy{p.Policy}, policies.ProfileOff)
}

// Judge runs the case through the engine.
func (c Case) Judge(rule policies.Rule) (policies.Verdict, error) {
	p, set, err := c.compile(rule)
	if err != nil {
		return policies.Verdict{}, err
	}
	return p.Judge(set)
}

// Judge judges the play by the policies.
func (p Play) Judge(set *policies.Set) (policies.Verdict, error) {
	if p.Clock != (policies.Clock{}) {
		return set.Inspect(p.Change.New, p.World, p.Clock)
	}
	return set.Judge(p.Change, p.World)
}

// Default returns what the rule fills in.
func (c Case) Default(rule policies.Rule) (policies.Filled, error) {
	p, set, err := c.compile(rule)
	if err != nil {
		return policies.Filled{}, err
	}
	return set.Default(p.Change, p.World)
}

func (c Case) compile(rule policies.Rule) (Play, *policies.Set, error) {
	p, err := c.Build(rule)
	if err != nil {
		return p, nil, err
	}
	set, err := p.Set()
	return p, set, err
}

// Object merges the manifest into the base object of its kind; nil for none.
func (m Manifest) Object() (kinds.Object, error) {
	if m == nil {
		return nil, nil
	}
	name, _ := m["kind"].(string)
	kind := kinds.Named(name)
	if kind == nil || base[name] == nil {
		return nil, fmt.Errorf("no base object of kind %q", name)
	}
	original, err := json.Marshal(base[name])
	if err != nil {
		return nil, err
	}
	patch, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	o := kind.New()
	merged, err := strategicpatch.StrategicMergePatch(original, patch, o)
	if err != nil {
		return nil, err
	}
	return o, yaml.UnmarshalStrict(merged, o)
}

// Object parses a manifest's text and merges it into the base object of its kind; nil for no text.
func Object(text string) (kinds.Object, error) {
	var m Manifest
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		return nil, err
	}
	return m.Object()
}

// Brief is a verdict the way cases want it: check, or check:Action where it is not Deny.
func Brief(v policies.Verdict) []string {
	var brief []string
	for _, f := range v.Findings {
		s := f.Check
		if f.Action != v1alpha1.Deny {
			s += ":" + string(f.Action)
		}
		brief = append(brief, s)
	}
	return brief
}

// pod is a member in a case. Its owner is told by its name alone, as nobody knows the UID that it will have.
func pod(ordinal int32, ready string) Manifest {
	name := fmt.Sprintf("db-%d", ordinal)
	return Manifest{
		"kind":     "Pod",
		"metadata": Manifest{"name": name, "labels": Manifest{"statefulset.kubernetes.io/pod-name": name}, "ownerReferences": nil},
		"spec":     Manifest{"volumes": []any{Manifest{"name": "data", "persistentVolumeClaim": Manifest{"claimName": "data-" + name}}}},
		"status":   Manifest{"conditions": []any{Manifest{"type": "Ready", "status": ready}}},
	}
}
