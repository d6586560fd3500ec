package policies

import (
	"errors"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Rules are all the rules, by ID.
var Rules = []Rule{
	autoscalerFloor,
	claimAdoption,
	claimTemplate,
	deleteProtection,
	disruptionBudget,
	forceDelete,
	headlessService,
	immutableFields,
	notReadyAddresses,
	ordinalShift,
	readiness,
	retainedClaim,
	retentionPolicy,
	scaleDown,
	sharedClaim,
	spread,
	terminationGrace,
	unsafeRollout,
	updateStrategy,
	volumeReclaim,
}

// Rule is one belief about stateful workloads that Mooring upholds.
type Rule struct {
	// ID names the rule everywhere a person meets it.
	ID string
	// Block is the name of its block in spec.rules of a policy.
	Block string
	// Title is what the rule says in one line; Doc why, in one paragraph.
	Title, Doc string
	Severity   Severity
	// On lists the requests the rule must see.
	On []Trigger
	// Checks are the findings it can make.
	Checks []Check
	// Cases show what passes and what does not: they are its tests, and the examples of its documentation.
	Cases []Case

	blocks
}

// Trigger is a kind of object with the operations on it that a rule judges.
type Trigger struct {
	Kind       string
	Operations []admissionv1.Operation
}

// Check is one of the findings that a rule can make.
type Check struct{ Name, Doc string }

// DocsURL is where the rule is documented.
func (r Rule) DocsURL() string {
	return "https://github.com/mooring-dev/mooring/blob/main/docs/rules/" + r.ID + ".md"
}

// Find returns the rule of that ID.
func Find(id string) (Rule, bool) {
	for _, r := range Rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

func (r Rule) sees(ch Change) bool {
	kind := ch.Object().GetObjectKind().GroupVersionKind().Kind
	for _, t := range r.On {
		for _, op := range t.Operations {
			if t.Kind == kind && op == ch.Operation {
				return true
			}
		}
	}
	return false
}

// blocks is a rule's logic behind its typed block of the policy; the engine sees only Rules.
type blocks struct {
	// action returns the action of the rule in these rules, Off where they have no block for it.
	action func(*v1alpha1.Rules) v1alpha1.Action
	judge  func(Change, Cluster, *v1alpha1.Rules) ([]Finding, error)
	// inspect judges an object as it stands.
	inspect func(Object, Cluster, *v1alpha1.Rules) ([]Finding, error)
	// fills tells whether these rules have anything to fill in, whatever the object.
	fills func(*v1alpha1.Rules) bool
	fill  func(*Defaults, *v1alpha1.Rules)
}

// logic is what a rule's file writes: pure functions of its typed parameters P. All but params may be absent. A function
// that fails on a read returns what it had found until then with the error.
type logic[P interface{ RuleAction() v1alpha1.Action }] struct {
	params func(*v1alpha1.Rules) *P
	// object judges an object as it stands. The ratchet compares its findings on both sides of an update.
	object func(Object, Cluster, P) ([]Finding, error)
	// change judges what only the move from one state to another can do wrong.
	change func(Change, Cluster, P) ([]Finding, error)
	// fills tells whether the parameters ask for anything to be filled in; without it they never do.
	fills func(P) bool
	// fill gives the object's silent fields their defaults.
	fill func(*Defaults, P)
}

// typed hides the type of the rule's parameters.
func typed[P interface{ RuleAction() v1alpha1.Action }](l logic[P]) blocks {
	return blocks{
		action: func(r *v1alpha1.Rules) v1alpha1.Action {
			if p := l.params(r); p != nil {
				return (*p).RuleAction()
			}
			return v1alpha1.Off
		},
		judge: func(ch Change, c Cluster, r *v1alpha1.Rules) ([]Finding, error) {
			p := *l.params(r)
			standing, err1 := l.ratchet(ch, c, p)
			if l.change == nil {
				return standing, err1
			}
			moved, err2 := l.change(ch, c, p)
			return append(standing, moved...), errors.Join(err1, err2)
		},
		inspect: func(o Object, c Cluster, r *v1alpha1.Rules) ([]Finding, error) {
			if l.object == nil {
				return nil, nil
			}
			return l.object(o, c, *l.params(r))
		},
		fills: func(r *v1alpha1.Rules) bool {
			p := l.params(r)
			return p != nil && (*p).RuleAction() != v1alpha1.Off && l.fills != nil && l.fills(*p)
		},
		fill: func(d *Defaults, r *v1alpha1.Rules) {
			if l.fill != nil {
				l.fill(d, *l.params(r))
			}
		},
	}
}

// ratchet judges the object as it will be, and marks what the object as it was has too, and no less.
func (l logic[P]) ratchet(ch Change, c Cluster, p P) ([]Finding, error) {
	if l.object == nil || ch.New == nil {
		return nil, nil
	}
	now, err := l.object(ch.New, c, p)
	if len(now) == 0 || ch.Old == nil {
		return now, err
	}
	before, err2 := l.object(ch.Old, c, p)
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
	return now, errors.Join(err, err2)
}
