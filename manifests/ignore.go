package manifests

import (
	"fmt"
	"strings"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
)

// ignoreAnnotation lists rules, or rule/check, each with the reason to ignore its findings: rule=reason, separated by semicolons or
// newlines. It works only in files. In a cluster, an exception or a bypass needs a right.
const ignoreAnnotation = "mooring.dev/ignore"

// reasonsOf returns the reasons by rule, or rule/check. The error names an invalid entry.
func reasonsOf(o kinds.Object) (map[string]string, error) {
	value, ok := o.GetAnnotations()[ignoreAnnotation]
	if !ok {
		return nil, nil
	}
	reasons := map[string]string{}
	for entry := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == '\n' }) {
		id, reason, _ := strings.Cut(entry, "=")
		id, reason = strings.TrimSpace(id), strings.TrimSpace(reason)
		switch {
		case id == "" && reason == "":
		case !policies.Named(rules.All, id):
			return nil, fmt.Errorf("annotation %s: %w", ignoreAnnotation, policies.UnknownRule(rules.All, id))
		case reason == "":
			return nil, fmt.Errorf("annotation %s: %s has no reason. Fix: write %[2]s=<why>", ignoreAnnotation, id)
		default:
			reasons[id] = reason
		}
	}
	return reasons, nil
}

// reasonFor returns the reason to ignore the finding, or "".
func reasonFor(reasons map[string]string, f policies.Finding) string {
	if reason, ok := reasons[f.ID()]; ok {
		return reason
	}
	return reasons[f.Rule]
}
