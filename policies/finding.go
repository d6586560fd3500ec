package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Severity is how much is at stake, in the terms of policy reports.
type Severity string

// The severities, highest first.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
)

// Rank orders severities: the more severe, the higher.
func (s Severity) Rank() int { return slices.Index([]Severity{Low, Medium, High}, s) }

// Finding is one problem with an object or with a change to it.
type Finding struct {
	// Rule and Check name the violation; Policy is the StatefulPolicy that asked for the rule.
	Rule, Check, Policy string
	// Action is what the finding does to the request, after every cap.
	Action   v1alpha1.Action
	Severity Severity
	// Object is the object that the finding is about.
	Object Ref
	// Path is the field at fault, as spec.a.b, or its parent if the field is missing.
	Path string
	// Message states the problem, with the actual and the wanted value. Remedy is a command to run or an edit to make.
	Message, Remedy string
	// Fix is the edit that fixes the problem, if one does. The remedy is then made from it.
	Fix *Fix
	// Docs is the URL of the rule's page.
	Docs string
	// Note says why the action differs from the rule's: ratchet, operator, dry run or bypass.
	Note string
	// Bypassed is the reason of the bypass that removed the denial; Exception is the policy whose exception lowered it.
	Bypassed, Exception string
	// WouldDeny means that the finding would deny if the mode of the policy or namespace were Enforce.
	WouldDeny bool

	// Excess is the size of the violation, in the check's own unit. The ratchet compares it before and after a change.
	Excess int64
	// Standing means that the object had the problem before the update. An update is not refused for what it does not make worse.
	Standing bool
	// Pending means that the missing object may still arrive. Such a finding only warns in a dry run.
	Pending bool
	// RetryAfter is the number of seconds after which the same request may pass, because the obstacle goes away by itself. An
	// eviction is told to wait that long.
	RetryAfter int32
	// Unknown means that the finding rests on a guess, so it never denies.
	Unknown bool
}

// Ref identifies an object.
type Ref struct {
	APIVersion, Kind, Namespace, Name string
}

// RefTo returns the object's Ref.
func RefTo(o kinds.Object) Ref {
	apiVersion, kind := o.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return Ref{APIVersion: apiVersion, Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String returns Kind namespace/name, or Kind name.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// GroupKind returns the object's group and kind.
func (r Ref) GroupKind() schema.GroupKind {
	return schema.FromAPIVersionAndKind(r.APIVersion, r.Kind).GroupKind()
}

// ID returns rule/check, which tools match on.
func (f Finding) ID() string { return f.Rule + "/" + f.Check }

// MaxWarning is the maximum length of a warning, in characters. The API server cuts longer ones if there are many.
const MaxWarning = 256

// String returns the finding as text: the problem, the remedy, and the policy. A warning has at most MaxWarning characters.
func (f Finding) String() string {
	if f.Action == v1alpha1.Warn {
		return f.warning()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", f.ID(), f.Message)
	if f.Remedy != "" {
		fmt.Fprintf(&b, " Fix: %s", f.Remedy)
	}
	if f.Note != "" {
		fmt.Fprintf(&b, " (%s)", f.Note)
	}
	fmt.Fprintf(&b, " [policy %s, %s]", f.Policy, f.Docs)
	return b.String()
}

// warning returns the problem, the remedy, the note and the link, as far as there is room. The problem and the link are always
// there. A remedy is there in full or not at all, because half a command is dangerous. A bypass or an exception is always named,
// with its reason.
func (f Finding) warning() string {
	const most = MaxWarning / 2
	end := " " + f.Docs
	room := MaxWarning - utf8.RuneCountInString(end)
	text, note := f.ID()+": "+f.Message, ""
	if f.Note != "" {
		note = " (" + cut(f.Note, most) + ")"
	}
	if f.Bypassed != "" || f.Exception != "" {
		text, note = cut(text, room-utf8.RuneCountInString(note))+note, ""
	}
	remedy := ""
	if f.Remedy != "" {
		remedy = " Fix: " + f.Remedy
	}
	for _, part := range []string{remedy, note} {
		if utf8.RuneCountInString(text+part) <= room {
			text += part
		}
	}
	return cut(text, room) + end
}

// cut shortens a text to at most this many characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return strings.TrimRight(string(runes[:most-1]), " ,.;:") + "…"
	}
	return text
}

// Verdict is the policies' answer to a change: the findings, the strictest first.
type Verdict struct {
	Findings []Finding
	// Silenced are the findings that an exception turned off.
	Silenced []Finding
}

// Denied reports whether any finding refuses the change.
func (v Verdict) Denied() bool { return len(v.With(v1alpha1.Deny)) > 0 }

// With returns the findings with this action.
func (v Verdict) With(action v1alpha1.Action) []Finding {
	var found []Finding
	for _, f := range v.Findings {
		if f.Action == action {
			found = append(found, f)
		}
	}
	return found
}

// strictest keeps the strictest finding for each rule, check and field, and drops those that are off. Findings come in the order of
// their policies and the first wins a tie, except that a used bypass is always kept.
func strictest(findings []Finding) []Finding {
	type key struct {
		id, path string
		object   Ref
	}
	at := map[key]int{}
	var kept []Finding
	for _, f := range findings {
		k := key{f.ID(), f.Path, f.Object}
		i, seen := at[k]
		switch {
		case f.Action == v1alpha1.Off:
		case !seen:
			at[k] = len(kept)
			kept = append(kept, f)
		case f.Action.Stricter(kept[i].Action),
			f.Action == kept[i].Action && f.Bypassed != "" && kept[i].Bypassed == "":
			kept[i] = f
		}
	}
	slices.SortStableFunc(kept, func(a, b Finding) int {
		return cmp.Or(b.Action.Compare(a.Action), cmp.Compare(a.ID(), b.ID()), cmp.Compare(a.Path, b.Path))
	})
	return kept
}
