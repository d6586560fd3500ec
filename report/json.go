package report

import (
	"encoding/json"
	"io"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// documentVersion changes when a field is removed or changes its meaning.
const documentVersion = "1"

// document is a report in JSON. docs/output.md promises its fields. Fields without omitempty are always present.
type document struct {
	Version   string            `json:"version"`
	Findings  []documentEntry   `json:"findings"`
	Errors    []documentError   `json:"errors,omitempty"`
	Clusters  []documentCluster `json:"clusters,omitempty"`
	Inventory []documentSet     `json:"inventory,omitempty"`
	Candidate *document         `json:"candidate,omitempty"`
	Replay    *documentReplay   `json:"replay,omitempty"`
	Summary   documentSummary   `json:"summary"`
}

type documentEntry struct {
	Rule     string         `json:"rule"`
	Check    string         `json:"check"`
	Action   string         `json:"action"`
	Severity string         `json:"severity"`
	Policy   string         `json:"policy"`
	Cluster  string         `json:"cluster,omitempty"`
	Object   documentObject `json:"object"`
	Path     string         `json:"path"`
	Message  string         `json:"message"`
	Remedy   string         `json:"remedy"`
	Docs     string         `json:"docs"`
	Note     string         `json:"note,omitempty"`
	Bypassed string         `json:"bypassed,omitempty"`
	Ignored  string         `json:"ignored,omitempty"`
	documentPosition
	Template   string           `json:"template,omitempty"`
	Renderings []string         `json:"renderings,omitempty"`
	Request    *documentRequest `json:"request,omitempty"`
}

type documentObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

type documentPosition struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

type documentError struct {
	Message string `json:"message"`
	Cluster string `json:"cluster,omitempty"`
	documentPosition
	Renderings []string `json:"renderings,omitempty"`
}

type documentCluster struct {
	Name         string `json:"name"`
	StatefulSets int    `json:"statefulSets"`
	Deny         int    `json:"deny"`
	Warn         int    `json:"warn"`
	Audit        int    `json:"audit"`
	Errors       int    `json:"errors"`
	Bytes        int64  `json:"bytes"`
	AtRisk       int64  `json:"atRisk"`
}

type documentSet struct {
	Cluster     string `json:"cluster"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	Replicas    int32  `json:"replicas"`
	Ready       int32  `json:"ready"`
	Claims      int    `json:"claims"`
	Bytes       int64  `json:"bytes"`
	WhenDeleted string `json:"whenDeleted"`
	WhenScaled  string `json:"whenScaled"`
	Profile     string `json:"profile"`
	Protected   bool   `json:"protected"`
}

type documentSummary struct {
	Objects      int `json:"objects"`
	StatefulSets int `json:"statefulSets"`
	Deny         int `json:"deny"`
	Warn         int `json:"warn"`
	Audit        int `json:"audit"`
	Errors       int `json:"errors"`
	Partial      int `json:"partial,omitempty"`
	Ignored      int `json:"ignored,omitempty"`
	Known        int `json:"known,omitempty"`
	Gone         int `json:"gone,omitempty"`
}

func writeJSON(w io.Writer, r Report) error {
	return indentedJSON(w, documentOf(r))
}

// indentedJSON writes v indented, without HTML escapes.
func indentedJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func documentOf(r Report) *document {
	d := &document{
		Version:  documentVersion,
		Findings: []documentEntry{},
		Summary: documentSummary{
			Objects: r.Objects, StatefulSets: r.StatefulSets, Errors: len(r.Errors), Partial: r.Partial,
			Ignored: r.Ignored(), Known: r.Known, Gone: r.Gone,
			Deny: r.total(v1alpha1.Deny), Warn: r.total(v1alpha1.Warn), Audit: r.total(v1alpha1.Audit),
		},
	}
	for _, f := range r.Findings {
		d.Findings = append(d.Findings, documentEntry{
			Rule: f.Rule, Check: f.Check, Action: string(f.Action), Severity: string(f.Severity), Policy: f.Policy,
			Cluster: f.Cluster, Object: documentObject(f.Object), Path: f.Path,
			Message: f.Message, Remedy: f.Remedy, Docs: f.Docs, Note: f.Note, Bypassed: f.Bypassed, Ignored: f.Ignored,
			documentPosition: placeOf(f.Position), Template: f.Position.Template, Renderings: f.Renderings,
			Request: (*documentRequest)(f.Request),
		})
	}
	for _, e := range r.Errors {
		d.Errors = append(d.Errors, documentError{e.Message, e.Cluster, placeOf(e.Position), e.Renderings})
	}
	if r.Clusters != nil {
		for _, c := range r.clusters() {
			d.Clusters = append(d.Clusters, documentCluster{c.Name, c.StatefulSets, c.Denied, c.Warned, c.Audited, c.Errors, c.Bytes, c.AtRisk})
		}
	}
	for _, s := range r.Inventory {
		d.Inventory = append(d.Inventory, documentSet(s))
	}
	if r.Candidate != nil {
		d.Candidate = documentOf(*r.Candidate)
	}
	if r.Replay != nil {
		d.Replay = documentOfReplay(*r.Replay)
	}
	return d
}

func placeOf(p Position) documentPosition { return documentPosition{p.File, p.Line, p.Column} }
