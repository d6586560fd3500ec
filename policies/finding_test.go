package policies_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// TestWarningsAreShort checks that a warning, whatever it contains, is never cut by the API server and ends with its link.
func TestWarningsAreShort(t *testing.T) {
	const docs = "https://github.com/mooring-dev/mooring/blob/main/docs/rules/scale-down.md"
	long := strings.Repeat("ö 3 of 5. ", 40)
	for name, test := range map[string]struct {
		finding        policies.Finding
		wants, without []string
	}{
		"all of it":                  {policies.Finding{Message: "Too few.", Remedy: "do this", Note: "why"}, []string{"scale-down/quorum: Too few. Fix: do this (why) " + docs}, nil},
		"a long message":             {policies.Finding{Message: long, Remedy: "do this", Note: "why"}, []string{"…", docs}, []string{"Fix:", "(why)"}},
		"a long remedy":              {policies.Finding{Message: "Too few.", Remedy: long, Note: "why"}, []string{"Too few. (why) " + docs}, []string{"Fix:"}},
		"a long note":                {policies.Finding{Message: "Too few.", Remedy: "do this", Note: long}, []string{"Too few. Fix: do this (ö 3 of 5.", "…) " + docs}, nil},
		"a bypass says why":          {policies.Finding{Message: "Too few.", Remedy: strings.Repeat("x", 170), Note: "bypassed: because", Bypassed: "because"}, []string{"(bypassed: because)"}, []string{"Fix:"}},
		"a bypass of a long message": {policies.Finding{Message: long, Note: "bypassed: because", Bypassed: "because"}, []string{"… (bypassed: because) " + docs}, nil},
		"an exception, as it":        {policies.Finding{Message: "Too few.", Remedy: strings.Repeat("x", 170), Note: "exception of policy e: why", Exception: "e"}, []string{"(exception of policy e: why)"}, []string{"Fix:"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := test.finding
			f.Rule, f.Check, f.Docs, f.Policy, f.Action = "scale-down", "quorum", docs, "a", v1alpha1.Warn
			got := f.String()
			if n := utf8.RuneCountInString(got); n > policies.MaxWarning || !strings.HasSuffix(got, docs) {
				t.Errorf("%d characters: %s", n, got)
			}
			for _, want := range test.wants {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in: %s", want, got)
				}
			}
			for _, no := range test.without {
				if strings.Contains(got, no) {
					t.Errorf("%q is in: %s", no, got)
				}
			}
		})
	}
}
