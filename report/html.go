package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageScript string
)

// pageTemplate is parsed on first use, because most runs write no page.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"capital": words.Capital,
		"plural":  words.Plural[int],
		"size":    size,
		"time":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
	}).Parse(pageHTML))
})

// page is a report as its page shows it.
type page struct {
	Report
	// Security is the page's Content-Security-Policy: it may run its one script, and load nothing.
	Security string
	Style    template.CSS
	Script   template.JS

	Groups            [][]Finding
	Rules, Namespaces chart
	Totals            totals
	// Fleet sums up each cluster, if there are several.
	Fleet []clusterRow
	// Clusters reports whether there are several clusters.
	Clusters  bool
	Candidate *candidate
}

// candidate is what a stricter profile adds to the report.
type candidate struct {
	Name string
	// New has the additional findings.
	New    Report
	Groups [][]Finding
	Rules  chart
}

// Sentence says what the candidate would do.
func (c candidate) Sentence() string {
	if len(c.New.Findings) == 0 {
		return "It has no additional findings."
	}
	var parts []string
	for _, part := range []struct {
		does   string
		action v1alpha1.Action
	}{{"deny", v1alpha1.Deny}, {"warn about", v1alpha1.Warn}, {"audit", v1alpha1.Audit}} {
		if n := c.New.Count(part.action); n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", part.does, n))
		}
	}
	return fmt.Sprintf("In addition to the policies in use, it would %s in %s.",
		strings.Join(parts, " and "), words.Plural(len(c.Groups), "object"))
}

// tile is a number at the top of the page.
type tile struct {
	Action, Said string
	Count        int
}

// Tile counts the findings with an action.
func (p page) Tile(action, said string) tile {
	return tile{action, said, p.total(v1alpha1.Action(words.Capital(action)))}
}

// namedChart is a chart with its title. If Filter is set, its bars filter the findings by it.
type namedChart struct {
	Filter, Title string
	bars          chart
}

// mostBars is how many bars a chart shows at first.
const mostBars = 10

// First returns the bars that are always shown.
func (c namedChart) First() chart { return c.bars[:min(mostBars, len(c.bars))] }

// Rest returns the bars that are shown on request.
func (c namedChart) Rest() chart { return c.bars[min(mostBars, len(c.bars)):] }

// filterBar is a bar of a chart that filters.
type filterBar struct {
	Filter string
	bar
}

// Bar returns the bar with what it filters by.
func (c namedChart) Bar(b bar) filterBar { return filterBar{c.Filter, b} }

// Chart returns the chart with its title.
func (p page) Chart(filter, title string, bars chart) namedChart {
	return namedChart{filter, title, bars}
}

// totals are the sums of the inventory.
type totals struct {
	Replicas, Ready int32
	Claims          int
	Bytes, AtRisk   int64
}

func writeHTML(w io.Writer, r Report) error {
	p := page{
		Report: r, Security: contentSecurity(), Style: template.CSS(pageCSS), Script: template.JS(pageScript),
		Groups:     r.byObject(),
		Rules:      r.chart(func(f Finding) string { return f.Rule }),
		Namespaces: r.chart(func(f Finding) string { return f.Object.Namespace }),
	}
	if len(r.Clusters) > 1 {
		p.Fleet = r.clusters()
	}
	if r.Replay != nil {
		p.Rules, p.Namespaces = r.Replay.chart("rule"), r.Replay.chart("namespace")
	}
	for _, s := range r.Inventory {
		p.Totals.Replicas += s.Replicas
		p.Totals.Ready += s.Ready
		p.Totals.Claims += s.Claims
		p.Totals.Bytes += s.Bytes
		if s.AtRisk() {
			p.Totals.AtRisk += s.Bytes
		}
		p.Clusters = p.Clusters || s.Cluster != r.Inventory[0].Cluster
	}
	if r.Candidate != nil {
		added := Report{Findings: r.stricter()}
		p.Candidate = &candidate{
			Name: r.Candidate.name(), New: added,
			Groups: added.byObject(), Rules: added.chart(func(f Finding) string { return f.Rule }),
		}
	}
	return pageTemplate().Execute(w, p)
}

// name returns the candidate's name.
func (r Report) name() string { return cmp.Or(r.Subject, "the candidate") }

// stricter returns the candidate's findings that the report does not have, or has with a laxer action.
func (r Report) stricter() []Finding {
	type key struct{ cluster, id, object, path, file string }
	keyOf := func(f Finding) key {
		return key{f.Cluster, f.ID(), f.Object.APIVersion + f.Object.String(), f.Path, f.Position.File}
	}
	now := map[key]int{}
	for _, f := range r.Findings {
		now[keyOf(f)] = max(now[keyOf(f)], rank(f.Action)+1)
	}
	var added []Finding
	for _, f := range r.Candidate.Findings {
		if rank(f.Action)+1 > now[keyOf(f)] {
			added = append(added, f)
		}
	}
	return added
}

// chart has a bar for each name, the longest first.
type chart []bar

// bar counts findings by action.
type bar struct {
	Name              string
	Deny, Warn, Audit int
	// Most is the total of the longest bar.
	Most int
}

// Total returns the length of the bar in findings.
func (b bar) Total() int { return b.Deny + b.Warn + b.Audit }

// segment is a part of a bar. Start and Width are percentages of the longest bar.
type segment struct {
	Action       string
	Start, Width float64
}

// Segments returns the parts of the bar that are not empty, the strictest first.
func (b bar) Segments() []segment {
	var segments []segment
	start := 0.0
	for _, part := range []struct {
		action string
		count  int
	}{{"deny", b.Deny}, {"warn", b.Warn}, {"audit", b.Audit}} {
		if width := 100 * float64(part.count) / float64(b.Most); width > 0 {
			segments = append(segments, segment{part.action, start, width})
			start += width
		}
	}
	return segments
}

// chart counts the findings by what name returns for each.
func (r Report) chart(name func(Finding) string) chart {
	bars := map[string]*bar{}
	for _, f := range r.Findings {
		if f.Ignored != "" {
			continue
		}
		b := bars[name(f)]
		if b == nil {
			b = &bar{Name: name(f)}
			bars[b.Name] = b
		}
		switch f.Action {
		case v1alpha1.Deny:
			b.Deny++
		case v1alpha1.Warn:
			b.Warn++
		case v1alpha1.Audit:
			b.Audit++
		}
	}
	var all chart
	for _, b := range bars {
		all = append(all, *b)
	}
	return all.sorted()
}

// chart counts the requests of a replay by a property, including those that are not listed.
func (r Replay) chart(by string) chart {
	var all chart
	for _, g := range r.Groups {
		for _, row := range g.Rows {
			if b := (bar{Name: row.Name, Deny: row.Denied, Warn: row.Warned, Audit: row.Audited}); g.By == by && b.Total() > 0 {
				all = append(all, b)
			}
		}
	}
	return all.sorted()
}

// sorted puts the longest bars first, and sets Most.
func (c chart) sorted() chart {
	slices.SortFunc(c, func(a, b bar) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(b.Deny, a.Deny), cmp.Compare(a.Name, b.Name))
	})
	for i := range c {
		c[i].Most = c[0].Total()
	}
	return c
}

// contentSecurity allows only the page's style and script, by their hashes.
func contentSecurity() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; img-src data:; base-uri 'none'; form-action 'none'", hash(pageCSS), hash(pageScript))
}

// size formats a number of bytes.
func size(bytes int64) string {
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[unit]
}

var units = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
