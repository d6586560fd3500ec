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

// Rule is one belief about stateful workloads that Mooring upholds.
type Rule struct {
	// ID names the rule everywhere a person meets it.
	ID string
	// Title is what the rule says in one line; Doc why, in one paragraph.
	Title, Doc string
	Severity   Severity
	// On lists the requests that the rule must see.
	On []Trigger
	// Checks are the findings it can make.
	Checks []Check
	// Logic is what the rule's file writes, made by Typed.
	Logic
}

// Trigger is a kind of object with the operations on it that a rule judges.
type Trigger struct {
	Kind       *kinds.Kind
	Operations []admissionv1.Operation
	// FilesOnly tells that no request shows what the rule judges, so that the API server need not ask.
	FilesOnly bool
}

// On makes a Trigger. Without operations, the rule judges the objects as they stand alone.
func On(kind *kinds.Kind, operations ...admissionv1.Operation) Trigger {
	return Trigger{Kind: kind, Operations: operations}
}

// InFiles makes Triggers of kinds whose objects the rule judges in files alone.
func InFiles(all ...*kinds.Kind) []Trigger {
	var on []Trigger
	for _, kind := range all {
		on = append(on, Trigger{Kind: kind, Operations: []admissionv1.Operation{admissionv1.Create, admissionv1.Update}, FilesOnly: true})
	}
	return on
}

// Check is one of the findings that a rule can make.
type Check struct{ Name, Doc string }

// Block is the name of the rule's block in spec.rules of a policy: its ID in camel case.
func (r Rule) Block() string {
	first, rest, _ := strings.Cut(r.ID, "-")
	for word := range strings.SplitSeq(rest, "-") {
		if word != "" {
			first += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return first
}

// DocsURL is where the rule is documented.
func (r Rule) DocsURL() string {
	return "https://github.com/mooring-dev/mooring/blob/main/docs/rules/" + r.ID + ".md"
}

// sees tells whether the rule judges such a change: an operation on a kind; or, without one, whether it judges the kind.
func (r Rule) sees(kind *kinds.Kind, op admissionv1.Operation) bool {
	return slices.ContainsFunc(r.On, func(t Trigger) bool {
		return t.Kind == kind && (op == "" || slices.Contains(t.Operations, op))
	})
}

// Find returns the rule of that ID.
func Find(rules []Rule, id string) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// UnknownRule is the error that there is no such rule, or no such check of one, and names what may have been meant.
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

// Named tells whether a name is that of a rule, or rule/check.
func Named(rules []Rule, id string) bool {
	name, check, whole := strings.Cut(id, "/")
	rule, ok := Find(rules, name)
	return ok && (!whole || slices.ContainsFunc(rule.Checks, func(c Check) bool { return c.Name == check }))
}

// Logic is what a rule does. The engine sees no type of its parameters.
type Logic interface {
	// Action returns the action of the rule in these rules, Off where they have no block for it.
	Action(*v1alpha1.Rules) v1alpha1.Action
	// Enable gives the rule the block that it has in a profile, if it is in it.
	Enable(profile string, rules *v1alpha1.Rules)
	// Writes tells whether the rule can fill anything in, or raise a scale-down.
	Writes() bool

	judge(Change, Cluster, *v1alpha1.Rules) ([]Finding, error)
	inspect(kinds.Object, Cluster, Clock, *v1alpha1.Rules) ([]Finding, error)
	fills(*v1alpha1.Rules) bool
	fill(*Defaults, *v1alpha1.Rules)
	clamps(Change, *v1alpha1.Rules) bool
	validate(*v1alpha1.Rules, *field.Path) error
}

// Clock is by what an observation tells what is stuck from what is under way.
type Clock struct {
	Now time.Time
	// StuckAfter is how long a rollout may stand still, and a member be away, before somebody should be told.
	StuckAfter time.Duration
}

// Over tells whether more time than that has passed since.
func (c Clock) Over(since time.Time) bool { return c.Now.Sub(since) > c.StuckAfter }

// Parameters are a rule's block in a policy.
type Parameters interface{ RuleAction() v1alpha1.Action }

// Typed is what a rule's file writes: its block, and pure functions of its typed parameters P. All but Block may be absent.
type Typed[P Parameters] struct {
	// Block is where a policy holds the parameters.
	Block func(*v1alpha1.Rules) **P
	// Baseline and Restricted are the rule's parameters in those profiles; nil where it is off.
	Baseline, Restricted *P
	// Object judges an object as it stands. The ratchet compares its findings on both sides of an update.
	Object func(kinds.Object, Cluster, P) ([]Finding, error)
	// Change judges what only the move from one state to another can do wrong.
	Change func(Change, Cluster, P) ([]Finding, error)
	// Beside judges as Change does, for who needs the parameters of the rules around it too.
	Beside func(Change, Cluster, P, v1alpha1.Rules) ([]Finding, error)
	// Observe judges what only a live cluster shows of an object at a time. It refuses nothing, as nobody asks for anything.
	Observe func(kinds.Object, Cluster, Clock, P) ([]Finding, error)
	// Fills tells whether the parameters ask for anything to be filled in; without it they never do.
	Fills func(P) bool
	// Fill gives the object's silent fields their defaults.
	Fill func(*Defaults, P)
	// Clamps tells whether a scale-down that the rule refuses is raised to a number that it does not.
	Clamps func(Change, P) bool
	// Validate says what in the parameters cannot be meant. The rules around them are there for those that must agree.
	Validate func(P, v1alpha1.Rules, *field.Path) field.ErrorList
}

var _ Logic = Typed[v1alpha1.ScaleDown]{}

// Action returns the action of the rule in these rules.
func (t Typed[P]) Action(r *v1alpha1.Rules) v1alpha1.Action {
	if p := *t.Block(r); p != nil {
		return (*p).RuleAction()
	}
	return v1alpha1.Off
}

// Enable gives the rule the block that it has in a profile.
func (t Typed[P]) Enable(profile string, r *v1alpha1.Rules) {
	switch profile {
	case Baseline:
		*t.Block(r) = t.Baseline
	case Restricted:
		*t.Block(r) = t.Restricted
	}
}

// Writes tells whether the rule can fill anything in, or raise a scale-down.
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

// ratchet judges the object as it will be, and marks what the object as it was has too, and no less.
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
		// Who scales did not write the object, and is told only of what scaling makes worse.
		now = slices.DeleteFunc(now, func(f Finding) bool { return f.Standing })
	}
	return now, err
}
