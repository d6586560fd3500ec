package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

// Rule is one rule about stateful workloads.
type Rule struct {
	// ID is the rule's name, wherever a user sees it.
	ID string
	// Title states the rule in one line; Doc gives the reason in one paragraph.
	Title, Doc string
	Severity   Severity
	// On lists the requests that the rule judges.
	On []Trigger
	// Checks are the findings that the rule can report.
	Checks []Check
	// Logic is the code of the rule, made by Typed.
	Logic
}

// Trigger is a kind of object with the operations that a rule judges.
type Trigger struct {
	Kind       *kinds.Kind
	Operations []admissionv1.Operation
	// FilesOnly means that no request shows the problem, so the API server need not call Mooring.
	FilesOnly bool
}

// On returns a Trigger. Without operations, the rule judges only the objects as they are in a cluster.
func On(kind *kinds.Kind, operations ...admissionv1.Operation) Trigger {
	return Trigger{Kind: kind, Operations: operations}
}

// InFiles returns Triggers for kinds that the rule judges only in files.
func InFiles(all ...*kinds.Kind) []Trigger {
	var on []Trigger
	for _, kind := range all {
		on = append(on, Trigger{Kind: kind, Operations: []admissionv1.Operation{admissionv1.Create, admissionv1.Update}, FilesOnly: true})
	}
	return on
}

// Check is one of the findings that a rule can report.
type Check struct{ Name, Doc string }

// Block is the name of the rule's block in a policy's spec.rules: its ID in camel case.
func (r Rule) Block() string {
	first, rest, _ := strings.Cut(r.ID, "-")
	for word := range strings.SplitSeq(rest, "-") {
		if word != "" {
			first += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return first
}

// DocsURL is the URL of the rule's page.
func (r Rule) DocsURL() string {
	return "https://github.com/mooring-dev/mooring/blob/main/docs/rules/" + r.ID + ".md"
}

// sees reports whether the rule judges this operation on the kind or, without an operation, whether it judges the kind.
func (r Rule) sees(kind *kinds.Kind, op admissionv1.Operation) bool {
	return slices.ContainsFunc(r.On, func(t Trigger) bool {
		return t.Kind == kind && (op == "" || slices.Contains(t.Operations, op))
	})
}

// Find returns the rule with this ID.
func Find(rules []Rule, id string) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// UnknownRule is the error for a rule or check that does not exist. It suggests a similar name.
func UnknownRule(rules []Rule, id string) error {
	name, check, _ := strings.Cut(id, "/")
	what, known := fmt.Sprintf("unknown rule %q", name), []string{}
	if rule, ok := Find(rules, name); ok {
		what = fmt.Sprintf("the rule %s has no check %q", name, check)
		for _, c := range rule.Checks {
			known = append(known, rule.ID+"/"+c.Name)
		}
	} else {
		known, id = ids(rules), name
	}
	near := slices.DeleteFunc(slices.Clone(known), func(k string) bool {
		return !words.Similar(k, id) && !strings.HasPrefix(k, id)
	})
	switch {
	case len(near) > 0:
		return fmt.Errorf("%s; did you mean %s?", what, strings.Join(near, " or "))
	case len(known) < len(rules):
		return fmt.Errorf("%s; it has %s", what, words.List(known))
	}
	return fmt.Errorf("%s. Fix: list the rules with mooring explain", what)
}

func ids(rules []Rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.ID)
	}
	return all
}

// Named reports whether a name is that of a rule, or rule/check.
func Named(rules []Rule, id string) bool {
	name, check, whole := strings.Cut(id, "/")
	rule, ok := Find(rules, name)
	return ok && (!whole || slices.ContainsFunc(rule.Checks, func(c Check) bool { return c.Name == check }))
}

// Logic is the code of a rule. It hides the type of the rule's parameters from the engine.
type Logic interface {
	// Action returns the rule's action, Off if these rules have no block for it.
	Action(*v1alpha1.Rules) v1alpha1.Action
	// Enable adds the rule's block in a profile, if the profile has the rule.
	Enable(profile string, rules *v1alpha1.Rules)
	// Writes reports whether the rule can set defaults or clamp a scale-down.
	Writes() bool

	judge(Change, Cluster, *v1alpha1.Rules) ([]Finding, error)
	inspect(kinds.Object, Cluster, Clock, *v1alpha1.Rules) ([]Finding, error)
	fills(*v1alpha1.Rules) bool
	fill(*Defaults, *v1alpha1.Rules)
	clamps(Change, *v1alpha1.Rules) bool
	validate(*v1alpha1.Rules, *field.Path) error
}

// Clock tells a state that is stuck from one in progress.
type Clock struct {
	Now time.Time
	// StuckAfter is how long a rollout may make no progress, or a member be down, before a finding.
	StuckAfter time.Duration
}

// Over reports whether more time than that has passed since.
func (c Clock) Over(since time.Time) bool { return c.Now.Sub(since) > c.StuckAfter }

// Parameters are a rule's block in a policy.
type Parameters interface{ RuleAction() v1alpha1.Action }

// Typed is what a rule's file writes: its block, and pure functions of its parameters P. Only Block is required.
type Typed[P Parameters] struct {
	// Block returns the place of the parameters in a policy.
	Block func(*v1alpha1.Rules) **P
	// Baseline and Restricted are the rule's parameters in those profiles; nil if it is off.
	Baseline, Restricted *P
	// Object judges an object by itself. The ratchet compares its findings before and after an update.
	Object func(kinds.Object, Cluster, P) ([]Finding, error)
	// Change judges a change, where only the step from the old to the new state can be wrong.
	Change func(Change, Cluster, P) ([]Finding, error)
	// Beside is Change for a rule that also needs other rules' parameters.
	Beside func(Change, Cluster, P, v1alpha1.Rules) ([]Finding, error)
	// Observe judges the state of an object in a live cluster. Its findings never refuse anything, because there is no request.
	Observe func(kinds.Object, Cluster, Clock, P) ([]Finding, error)
	// Fills reports whether the parameters have defaults to set. Without it, they never do.
	Fills func(P) bool
	// Fill sets the defaults of the fields that the user did not write.
	Fill func(*Defaults, P)
	// Clamps reports whether a scale-down that the rule refuses is raised to a number that it allows.
	Clamps func(Change, P) bool
	// Validate returns the errors in the parameters. It gets the other rules' parameters, for those that must agree.
	Validate func(P, v1alpha1.Rules, *field.Path) field.ErrorList
}

var _ Logic = Typed[v1alpha1.ScaleDown]{}

// Action returns the rule's action.
func (t Typed[P]) Action(r *v1alpha1.Rules) v1alpha1.Action {
	if p := *t.Block(r); p != nil {
		return (*p).RuleAction()
	}
	return v1alpha1.Off
}

// Enable adds the rule's block in a profile.
func (t Typed[P]) Enable(profile string, r *v1alpha1.Rules) {
	switch profile {
	case Baseline:
		*t.Block(r) = t.Baseline
	case Restricted:
		*t.Block(r) = t.Restricted
	}
}

// Writes reports whether the rule can set defaults or clamp a scale-down.
func (t Typed[P]) Writes() bool { return t.Fill != nil || t.Clamps != nil }

func (t Typed[P]) judge(ch Change, c Cluster, r *v1alpha1.Rules) ([]Finding, error) {
	p := **t.Block(r)
	found, err := t.ratchet(ch, c, p)
	if t.Change != nil && err == nil {
		var moved []Finding
		moved, err = t.Change(ch, c, p)
		found = append(found, moved...)
	}
	if t.Beside != nil && err == nil {
		var moved []Finding
		moved, err = t.Beside(ch, c, p, *r)
		found = append(found, moved...)
	}
	return found, err
}

func (t Typed[P]) inspect(o kinds.Object, c Cluster, clock Clock, r *v1alpha1.Rules) ([]Finding, error) {
	p := **t.Block(r)
	var stands, seen []Finding
	var err1, err2 error
	if t.Object != nil {
		stands, err1 = t.Object(o, c, p)
	}
	if t.Observe != nil && !clock.Now.IsZero() {
		seen, err2 = t.Observe(o, c, clock, p)
	}
	return append(stands, seen...), errors.Join(err1, err2)
}

func (t Typed[P]) fills(r *v1alpha1.Rules) bool {
	p := *t.Block(r)
	return p != nil && (*p).RuleAction() != v1alpha1.Off && t.Fills != nil && t.Fills(*p)
}

func (t Typed[P]) fill(d *Defaults, r *v1alpha1.Rules) {
	if t.Fill != nil {
		t.Fill(d, **t.Block(r))
	}
}

func (t Typed[P]) clamps(ch Change, r *v1alpha1.Rules) bool {
	p := *t.Block(r)
	return p != nil && (*p).RuleAction() != v1alpha1.Off && t.Clamps != nil && t.Clamps(ch, *p)
}

func (t Typed[P]) validate(r *v1alpha1.Rules, at *field.Path) error {
	if p := *t.Block(r); p != nil && t.Validate != nil {
		return t.Validate(*p, *r, at).ToAggregate()
	}
	return nil
}

// ratchet judges the new object, and marks the findings that the old object had too, at least as bad.
func (t Typed[P]) ratchet(ch Change, c Cluster, p P) ([]Finding, error) {
	if t.Object == nil || ch.New == nil {
		return nil, nil
	}
	now, err := t.Object(ch.New, c, p)
	if len(now) == 0 || ch.Old == nil || err != nil {
		return now, err
	}
	before, err := t.Object(ch.Old, c, p)
	for i := range now {
		for _, old := range before {
			if old.Check == now[i].Check && old.Path == now[i].Path && old.Excess >= now[i].Excess {
				now[i].Standing = true
			}
		}
	}
	if ch.Scale {
		// A scale request does not change the rest of the object, so it gets only the findings that it makes worse.
		now = slices.DeleteFunc(now, func(f Finding) bool { return f.Standing })
	}
	return now, err
}
