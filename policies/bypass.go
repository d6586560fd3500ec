package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Annotations with which an authorized user bypasses a denial. They are on the object of the request; for a request to scale, on
// the StatefulSet.
const (
	// BypassAnnotation lists rule IDs, separated by commas.
	BypassAnnotation = "mooring.dev/bypass"
	// BypassReasonAnnotation gives the reason. Without it, the bypass does not count.
	BypassReasonAnnotation = "mooring.dev/bypass-reason"
	// BypassUntilAnnotation is when the bypass ends, in RFC 3339, at most maxBypass from now. Absent: it has no end.
	BypassUntilAnnotation = "mooring.dev/bypass-until"
)

// maxBypass limits how far in the future a bypass can end.
const maxBypass = 24 * time.Hour

// bypass turns denials into warnings if the object's annotations ask for it and the user has the right. If a bypass does not count,
// the finding says why.
func bypass(findings []Finding, chosen []applied, ch Change, c Cluster) error {
	var denied []string
	for _, f := range findings {
		if f.Action == v1alpha1.Deny && !slices.Contains(denied, f.Rule) {
			denied = append(denied, f.Rule)
		}
	}
	if len(denied) == 0 {
		return nil
	}
	asking, err := asksForBypass(chosen, ch, c)
	if asking == nil || err != nil {
		return err
	}
	annotations := asking.GetAnnotations()
	value, on := annotations[BypassAnnotation], ""
	if asking != ch.Object() {
		on = " on StatefulSet " + asking.GetName()
	}
	named := list(value)
	for i := range findings {
		f := &findings[i]
		if f.Action != v1alpha1.Deny {
			continue
		}
		if !slices.Contains(named, f.Rule) {
			f.Note = fmt.Sprintf("the annotation %s=%s does not name this rule. Fix: %s=%s", BypassAnnotation, value, BypassAnnotation, strings.Join(denied, ","))
			continue
		}
		if why := invalid(annotations, ch.Time); why != "" {
			f.Note = "the annotation " + BypassAnnotation + " does not count: " + why
			continue
		}
		namespace := bypassedIn(ch.Object())
		may, known, err := c.MayBypass(f.Policy, namespace)
		switch {
		case err != nil:
			return fmt.Errorf("checking whether %s may bypass StatefulPolicy %s: %w", ch.User.Username, f.Policy, err)
		case !known:
			f.atMost(v1alpha1.Warn, fmt.Sprintf("annotation %s: %s; the cluster decides whether the user may bypass",
				BypassAnnotation, strings.TrimSpace(annotations[BypassReasonAnnotation])))
		case !may:
			where, bound := "", "clusterrolebinding"
			if namespace != "" {
				where, bound = " in namespace "+namespace, "rolebinding -n "+namespace
			}
			f.Note = fmt.Sprintf("the annotation %s does not count, because %s lacks the verb bypass on statefulpolicies.mooring.dev %q%s. An administrator can grant it: kubectl create %s mooring-bypass --clusterrole=mooring-bypass --user=%s",
				BypassAnnotation, cmp.Or(ch.User.Username, "the user"), f.Policy, where, bound, cmp.Or(ch.User.Username, "<user>"))
		default:
			f.Action, f.Bypassed = v1alpha1.Warn, strings.TrimSpace(annotations[BypassReasonAnnotation])
			f.Note = "bypassed" + on + ": " + f.Bypassed
		}
	}
	return nil
}

// asksForBypass returns the object whose annotations ask for the bypass, or nil. It is the object of the request, or another
// StatefulSet of its group.
func asksForBypass(chosen []applied, ch Change, c Cluster) (kinds.Object, error) {
	asks := func(o kinds.Object) bool { _, ok := o.GetAnnotations()[BypassAnnotation]; return ok }
	o := ch.Object()
	switch {
	case asks(o):
		return o, nil
	case kinds.Of(o) != kinds.StatefulSet:
		return nil, nil
	}
	for _, p := range chosen {
		group, ok := o.GetLabels()[p.Spec.BypassGroupLabel]
		if !ok || p.mode == v1alpha1.ModeAudit {
			continue
		}
		others, _, err := c.List(kinds.StatefulSet, o.GetNamespace(), labels.SelectorFromSet(labels.Set{p.Spec.BypassGroupLabel: group}))
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(others, asks); i >= 0 {
			return others[i], nil
		}
	}
	return nil, nil
}

// bypassedIn returns the namespace in which the user must have the right. A Namespace is its own.
func bypassedIn(o kinds.Object) string {
	if kinds.Of(o) == kinds.Namespace {
		return o.GetName()
	}
	return o.GetNamespace()
}

// invalid says why a bypass does not count, whoever asks. It is empty for a valid bypass.
func invalid(annotations map[string]string, now time.Time) string {
	if strings.TrimSpace(annotations[BypassReasonAnnotation]) == "" {
		return BypassReasonAnnotation + " must give the reason"
	}
	until, limited := annotations[BypassUntilAnnotation]
	if !limited {
		return ""
	}
	end, err := time.Parse(time.RFC3339, until)
	switch {
	case err != nil:
		return fmt.Sprintf("%s: %q is not an RFC 3339 time such as 2006-01-02T15:04:05Z", BypassUntilAnnotation, until)
	case !end.After(now):
		return fmt.Sprintf("%s: it ended at %s", BypassUntilAnnotation, until)
	case end.After(now.Add(maxBypass)):
		return fmt.Sprintf("%s: %s is more than 24 hours ahead", BypassUntilAnnotation, until)
	}
	return ""
}
