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

// Severity is how much is at stake, in the words of the policy reports.
type Severity string

// The severities, the worst first.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
)

// Rank orders severities: the worse, the higher.
func (s Severity) Rank() int { return slices.Index([]Severity{Low, Medium, High}, s) }

// Finding is one thing that is wrong with one object, or with a change to it.
type Finding struct {
	// Rule and Check name what was violated; Policy is the StatefulPolicy that asked.
	Rule, Check, Policy string
	// Action is what the finding does to the request, every cap applied.
	Action   v1alpha1.Action
	Severity Severity
	// Object is what the finding is about.
	Object Ref
	// Path is the offending field of the object in the form spec.a.b, or of its parent where the field is missing.
	Path string
	// Message says what is wrong, with the value seen and the value wanted; Remedy what to type or to edit.
	Message, Remedy string
	// Fix is the edit that mends it, where one does; the remedy says it then.
	Fix *Fix
	// Docs is where to read more.
	Docs string
	// Note says why the action is not the rule's own, where that is so: ratchet, operator, dry run, bypass.
	Note string
	// Bypassed holds the reason given, where a bypass took the denial away; Exception the policy whose exception lowered it.
	Bypassed, Exception string
	// WouldDeny tells that it would be a denial if the mode of the policy, or of the namespace, were Enforce.
	WouldDeny bool

	// Excess says by how much, in the check's own unit, so that the ratchet can tell whether a change made it worse.
	Excess int64
	// Standing marks what the object had before an update too: an update is not refused for what it did not make worse.
	Standing bool
	// Pending marks what may only be waiting for another object to arrive or to be known: it warns in a dry run.
	Pending bool
	// RetryAfter is in how many seconds the same request may pass, as what is in its way goes by itself. Who evicts is told to wait.
	RetryAfter int32
	// Unknown marks what rests on a guess about something nobody can know here: it never denies.
	Unknown bool
}

// Ref names an object.
type Ref struct {
	APIVersion, Kind, Namespace, Name string
}

// RefTo names the object.
func RefTo(o kinds.Object) Ref {
	apiVersion, kind := o.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return Ref{APIVersion: apiVersion, Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String is the form Kind namespace/name, or Kind name.
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

// ID is rule/check: what tools match on.
func (f Finding) ID() string { return f.Rule + "/" + f.Check }

// MaxWarning is how long a warning may be, in characters: the API server cuts longer ones where there are many.
const MaxWarning = 256

// String is the finding as a person reads it: what is wrong, what to do, and who asked. A warning has at most MaxWarning
// characters.
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

// warning says what is wrong, what to do, why nobody is refused, and where to read more, as far as there is room: the first and the
// last always, a remedy whole or not at all, as half a command is worse than none. That a bypass or an exception let it through, and
// why, is never left out: it is the news.
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

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return strings.TrimRight(string(runes[:most-1]), " ,.;:") + "…"
	}
	return text
}

// Verdict is what the policies say of a change: the findings, the strictest first.
type Verdict struct {
	Findings []Finding
	// Silenced are the findings that an exception turned off.
	Silenced []Finding
}

// Denied tells whether any finding refuses the change.
func (v Verdict) Denied() bool { return len(v.With(v1alpha1.Deny)) > 0 }

// With returns the findings of one action.
func (v Verdict) With(action v1alpha1.Action) []Finding {
	var found []Finding
	for _, f := range v.Findings {
		if f.Action == action {
			found = append(found, f)
		}
	}
	return found
}

// strictest keeps one finding per rule, check and field, the strictest, and drops what is off. Findings come in the order
// of their policies, and the first wins a tie, save that the use of a bypass is never lost.
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
