package report

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// The sarif types are the part of SARIF 2.1.0 that Mooring writes. A descriptor is a check of a rule.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	ColumnKind  string            `json:"columnKind"`
	Results     []sarifResult     `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string            `json:"name"`
	Version        string            `json:"version,omitempty"`
	InformationURI string            `json:"informationUri"`
	Rules          []sarifDescriptor `json:"rules"`
}

type sarifDescriptor struct {
	ID                   string             `json:"id"`
	ShortDescription     sarifMessage       `json:"shortDescription"`
	FullDescription      sarifMessage       `json:"fullDescription"`
	Help                 sarifHelp          `json:"help"`
	HelpURI              string             `json:"helpUri"`
	DefaultConfiguration sarifConfiguration `json:"defaultConfiguration"`
	Properties           sarifTags          `json:"properties"`
}

type sarifConfiguration struct {
	Level string `json:"level"`
}

type sarifTags struct {
	Tags []string `json:"tags"`
}

type sarifHelp struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	ExecutionSuccessful        bool                `json:"executionSuccessful"`
	ToolExecutionNotifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level     string          `json:"level"`
	Message   sarifMessage    `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifResult struct {
	RuleID              string             `json:"ruleId"`
	RuleIndex           int                `json:"ruleIndex"`
	Level               string             `json:"level"`
	Message             sarifMessage       `json:"message"`
	Locations           []sarifLocation    `json:"locations"`
	PartialFingerprints map[string]string  `json:"partialFingerprints"`
	Properties          map[string]string  `json:"properties"`
	Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
}

// sarifSuppression means that the result is known and ignored, with the reason.
type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

type sarifLocation struct {
	PhysicalLocation *sarifPhysical `json:"physicalLocation,omitempty"`
	LogicalLocations []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	ArtifactLocation sarifArtifact `json:"artifactLocation"`
	Region           *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI       string `json:"uri"`
	URIBaseID string `json:"uriBaseId,omitempty"`
}

type sarifRegion struct {
	StartLine   int           `json:"startLine"`
	StartColumn int           `json:"startColumn,omitempty"`
	Snippet     *sarifMessage `json:"snippet,omitempty"`
}

type sarifLogical struct {
	Name               string `json:"name"`
	FullyQualifiedName string `json:"fullyQualifiedName"`
	Kind               string `json:"kind"`
}

func writeSARIF(w io.Writer, r Report) error {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "Mooring", Version: r.Version, InformationURI: "https://github.com/mooring-dev/mooring", Rules: sarifRules(r)}},
		Invocations: []sarifInvocation{{ExecutionSuccessful: len(r.Errors) == 0}},
		ColumnKind:  "unicodeCodePoints",
		Results:     []sarifResult{},
	}
	for _, e := range r.Errors {
		n := sarifNotification{Level: "error", Message: sarifMessage{e.text()}}
		e.Position.File = r.inRepository(e.Position.File)
		if p := physicalLocation(e.Position, nil); p != nil {
			n.Locations = []sarifLocation{{PhysicalLocation: p}}
		}
		run.Invocations[0].ToolExecutionNotifications = append(run.Invocations[0].ToolExecutionNotifications, n)
	}
	fingerprint := fingerprints()
	for _, f := range r.Findings {
		f.Position.File = r.inRepository(f.Position.File)
		result := sarifResult{
			RuleID:    f.ID(),
			RuleIndex: slices.IndexFunc(run.Tool.Driver.Rules, func(d sarifDescriptor) bool { return d.ID == f.ID() }),
			Level:     sarifLevels[f.Action],
			Message:   sarifMessage{f.Object.String() + ": " + f.text()},
			Locations: []sarifLocation{{
				PhysicalLocation: physicalLocation(f.Position, f.Lines),
				LogicalLocations: []sarifLogical{{Name: f.Object.Name, FullyQualifiedName: logicalName(f), Kind: "resource"}},
			}},
			PartialFingerprints: map[string]string{"mooring/v1": fingerprint(f)},
			Properties:          sarifProperties(f),
		}
		if f.Ignored != "" {
			result.Suppressions = []sarifSuppression{{"inSource", f.Ignored}}
		}
		run.Results = append(run.Results, result)
	}
	return indentedJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

var sarifLevels = map[v1alpha1.Action]string{v1alpha1.Deny: "error", v1alpha1.Warn: "warning", v1alpha1.Audit: "note"}

// sarifRules describes each check with findings, by ID.
func sarifRules(r Report) []sarifDescriptor {
	found := map[string]Finding{}
	for _, f := range r.Findings {
		found[f.ID()] = f
	}
	described := []sarifDescriptor{}
	for id, f := range found {
		rule, _ := policies.Find(rules.All, f.Rule)
		check := rule.Title
		for _, c := range rule.Checks {
			if c.Name == f.Check {
				check = c.Doc
			}
		}
		doc := cmp.Or(oneLine(rule.Doc), id)
		described = append(described, sarifDescriptor{
			ID:                   id,
			ShortDescription:     sarifMessage{cmp.Or(check, id)},
			FullDescription:      sarifMessage{doc},
			Help:                 sarifHelp{Text: doc + "\n\nMore: " + f.Docs, Markdown: fmt.Sprintf("**%s.** %s\n\n[More about %s](%s)", rule.Title, doc, f.Rule, f.Docs)},
			HelpURI:              f.Docs,
			DefaultConfiguration: sarifConfiguration{severityLevels[f.Severity]},
			Properties:           sarifTags{[]string{"kubernetes", "stateful", f.Rule}},
		})
	}
	slices.SortFunc(described, func(a, b sarifDescriptor) int { return cmp.Compare(a.ID, b.ID) })
	return described
}

var severityLevels = map[policies.Severity]string{policies.High: "error", policies.Medium: "warning", policies.Low: "note"}

// physicalLocation returns the place in a file, or nil without one.
func physicalLocation(p Position, lines []Line) *sarifPhysical {
	if p.File == "" {
		return nil
	}
	at := &sarifPhysical{ArtifactLocation: artifact(p.File)}
	if p.Line > 0 {
		at.Region = &sarifRegion{StartLine: p.Line, StartColumn: p.Column}
		for _, l := range lines {
			if l.Number == p.Line {
				at.Region.Snippet = &sarifMessage{l.Text}
			}
		}
	}
	return at
}

// artifact returns a file's URI, relative to the source root if possible.
func artifact(file string) sarifArtifact {
	slashed := path.Clean(filepath.ToSlash(file))
	if path.IsAbs(slashed) {
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: slashed}).String()}
	}
	return sarifArtifact{URI: (&url.URL{Path: slashed}).String(), URIBaseID: "%SRCROOT%"}
}

func logicalName(f Finding) string {
	return strings.TrimPrefix(strings.Join([]string{f.Cluster, f.Object.Namespace, f.Object.Kind, f.Object.Name, f.Path}, "/"), "/")
}

// fingerprints returns a function that gives each finding an identifier that stays the same when lines move: the check, the place
// in the object, and a count if that is not unique.
func fingerprints() func(Finding) string {
	seen := map[string]int{}
	return func(f Finding) string {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(f.fact())))[:32]
		seen[sum]++
		return fmt.Sprintf("%s:%d", sum, seen[sum])
	}
}

func sarifProperties(f Finding) map[string]string {
	properties := map[string]string{"action": string(f.Action), "policy": f.Policy, "severity": string(f.Severity), "path": f.Path}
	if f.Position.Template != "" {
		properties["template"] = f.Position.Template
	}
	return properties
}
