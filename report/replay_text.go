package report

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mooring-dev/mooring/policies/words"
)

// request writes the user, the request, its time and the response.
func (t text) request(r Request) {
	dry := ""
	if r.DryRun {
		dry = "as a dry run"
	}
	t.line("    ", r.Time.Format(time.RFC3339), oneLine(cmp.Or(r.User, "somebody")), "with", oneLine(cmp.Or(r.UserAgent, "an unnamed tool"))+":",
		r.Verb, r.Resource, dry, fmt.Sprintf("(HTTP %d)", r.Code))
}

// replay writes the totals of a replay.
func (t text) replay(r Replay) {
	for _, c := range r.Changes {
		t.line("", t.bold(c.Object.String()), t.dim(c.Position.File))
		t.line("  ", t.in("1;34", "change"), t.dim(c.Position.String()))
		t.request(*c.Request)
		for _, f := range c.Fields {
			t.line("    ", oneLine(fmt.Sprintf("%s would be %v", f.Path, f.Value)), t.dim("rule "+f.Rule+", policy "+f.Policy))
		}
		t.line("")
	}
	if r.Unlisted > 0 {
		t.line("", fmt.Sprintf("%s more, counted below but not listed. Raise --limit to list them.", words.Plural(r.Unlisted, "finding")))
		t.line("")
	}
	for _, g := range r.Groups {
		if len(g.Rows) > 0 {
			t.group(g)
			t.line("")
		}
	}
	for _, c := range r.Unjudged {
		t.line("", fmt.Sprintf("%s could not be judged: %s.", words.Plural(c.Count, "request"), oneLine(c.Name)))
	}
	t.line("", r.summary())
}

// summary returns the replay in one sentence.
func (r Replay) summary() string {
	return fmt.Sprintf("%d denied, %d warned, %d audited, %d changed: %s judged of %s.",
		r.Denied, r.Warned, r.Audited, r.Changed, words.Plural(r.Judged, "request"), r.span())
}

func (r Replay) span() string {
	if r.Events == 0 {
		return "no event"
	}
	return fmt.Sprintf("%s from %s to %s", words.Plural(r.Events, "event"), r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
}

func (t text) group(g Group) {
	table := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "BY %s\tDENIED\tWARNED\tAUDITED\tCHANGED\tFIRST\tLAST\n", strings.ToUpper(g.By))
	for _, row := range g.Rows {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t%s\n", oneLine(cmp.Or(row.Name, "-")), row.Denied, row.Warned, row.Audited, row.Changed,
			row.First.Format(time.RFC3339), row.Last.Format(time.RFC3339))
	}
	// The underlying writer keeps errors.
	_ = table.Flush()
}
