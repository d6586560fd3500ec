package report

import (
	"cmp"
	"slices"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// clusterRow sums up a cluster.
type clusterRow struct {
	Name                                          string
	StatefulSets, Denied, Warned, Audited, Errors int
	// Bytes is the size of its StatefulSets' claims. AtRisk is the part that a delete or a scale-down would delete.
	Bytes, AtRisk int64
}

// clusters returns a row for each cluster, the one with the most denials first.
func (r Report) clusters() []clusterRow {
	rows := map[string]*clusterRow{}
	row := func(name string) *clusterRow {
		if rows[name] == nil {
			rows[name] = &clusterRow{Name: name}
		}
		return rows[name]
	}
	for _, name := range r.Clusters {
		row(name)
	}
	for _, w := range r.Inventory {
		c := row(w.Cluster)
		c.StatefulSets++
		c.Bytes += w.Bytes
		if w.AtRisk() {
			c.AtRisk += w.Bytes
		}
	}
	for _, f := range r.Findings {
		switch c := row(f.Cluster); {
		case f.Ignored != "":
		case f.Action == v1alpha1.Deny:
			c.Denied++
		case f.Action == v1alpha1.Warn:
			c.Warned++
		case f.Action == v1alpha1.Audit:
			c.Audited++
		}
	}
	for _, e := range r.Errors {
		if c := rows[e.Cluster]; c != nil {
			c.Errors++
		}
	}
	all := make([]clusterRow, 0, len(rows))
	for _, c := range rows {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b clusterRow) int {
		return cmp.Or(cmp.Compare(b.Denied, a.Denied), cmp.Compare(b.Warned, a.Warned), cmp.Compare(b.AtRisk, a.AtRisk), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// AtRisk reports whether a delete or a scale-down of the StatefulSet deletes its claims.
func (w Workload) AtRisk() bool {
	return w.Bytes > 0 && (w.WhenDeleted == "Delete" || w.WhenScaled == "Delete")
}
