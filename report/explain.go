package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// RuleDoc is all that there is to say of a rule. Its page and mooring explain are made of it.
type RuleDoc struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Doc      string `json:"doc"`
	Severity string `json:"severity"`
	// On says in words which requests the rule judges.
	On     string     `json:"on"`
	Checks []CheckDoc `json:"checks"`
	// Block is the name of its block in spec.rules of a policy, and Parameters are the block's fields.
	Block      string       `json:"block"`
	Parameters []Parameter  `json:"parameters"`
	Profiles   []ProfileDoc `json:"profiles"`
	Examples   []Example    `json:"examples"`
	Docs       string       `json:"docs"`
}

// CheckDoc is one of the findings that a rule can make.
type CheckDoc struct {
	ID    string `json:"id"`
	Finds string `json:"finds"`
}

// ProfileDoc is what a profile says of a rule.
type ProfileDoc struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	// Block is the rule's block in the profile; nil where it has none.
	Block map[string]any `json:"block,omitempty"`
}

// Example is one change and what the engine says of it.
type Example struct {
	Name string `json:"name"`
	// Policy holds the parameters, where they are not just the action Deny.
	Policy string `json:"policy,omitempty"`
	// Around says in words what there is besides the manifests.
	Around    string     `json:"around,omitempty"`
	Manifests []Manifest `json:"manifests"`
	Verdict   []Said     `json:"verdict"`
}

// Manifest is an object of an example: what of it is not as usual.
type Manifest struct {
	Title string `json:"title"`
	YAML  string `json:"yaml"`
}

// Said is a finding as a user reads it, or what there is to say where there is none.
type Said struct {
	Finding bool   `json:"finding"`
	Text    string `json:"text"`
}

// Explain returns all that there is to say of a rule.
func Explain(rule policies.Rule) (RuleDoc, error) {
	doc := RuleDoc{
		ID: rule.ID, Title: rule.Title, Doc: rule.Doc, Severity: string(rule.Severity), On: triggers(rule), Block: rule.Block, Docs: rule.DocsURL(),
	}
	for _, c := range rule.Checks {
		doc.Checks = append(doc.Checks, CheckDoc{rule.ID + "/" + c.Name, c.Doc})
	}
	var err error
	if doc.Parameters, err = parametersOf(rule.Block); err != nil {
		return doc, err
	}
	for _, name := range profiles.Names {
		p, err := profileOf(name, rule)
		if err != nil {
			return doc, err
		}
		doc.Profiles = append(doc.Profiles, p)
	}
	for _, c := range rule.Cases {
		e, err := exampleOf(rule, c)
		if err != nil {
			return doc, err
		}
		doc.Examples = append(doc.Examples, e)
	}
	return doc, nil
}

// exampleOf has the engine judge a case.
func exampleOf(rule policies.Rule, c policies.Case) (Example, error) {
	e := Example{Name: c.Name, Policy: c.Policy, Around: around(c)}
	verdict, err := c.Judge(rule)
	if err != nil {
		return e, err
	}
	before, after := "Before", "After"
	if c.Old == "" {
		after = "Created"
	}
	if c.New == "" {
		before = "Deleted"
	}
	manifests := []Manifest{{before, c.Old}, {after, c.New}}
	for _, given := range c.Given {
		manifests = append(manifests, Manifest{"While there is", given})
	}
	for _, m := range manifests {
		if m.YAML == "" {
			continue
		}
		// Cases are written tersely; here they have the form that most people know.
		var o map[string]any
		if err := yaml.Unmarshal([]byte(m.YAML), &o); err != nil {
			return e, err
		}
		e.Manifests = append(e.Manifests, Manifest{m.Title, toYAML(o)})
	}
	if c.Fills != "" {
		e.Verdict = append(e.Verdict, Said{Text: "The default is filled in: " + c.Fills + "."})
	} else if len(verdict.Findings) == 0 {
		e.Verdict = append(e.Verdict, Said{Text: "It passes."})
	}
	for _, f := range verdict.Findings {
		text := fmt.Sprintf("%s %s: %s\nTo fix: %s", f.Action, f.ID(), f.Message, f.Remedy)
		if f.Note != "" {
			text += "\n(" + f.Note + ")"
		}
		e.Verdict = append(e.Verdict, Said{true, text})
	}
	return e, nil
}

// around says in words what a case has besides its manifests.
func around(c policies.Case) string {
	var said []string
	for _, part := range []struct {
		what string
		of   []int32
	}{{"Pods that are ready", c.Ready}, {"Pods that are not ready", c.NotReady}, {"Claims of Pods", c.Claims}} {
		if len(part.of) > 0 {
			said = append(said, fmt.Sprintf("%s: %s.", part.what, strings.Trim(strings.ReplaceAll(fmt.Sprint(part.of), " ", ", "), "[]")))
		}
	}
	if c.WithoutService && !slices.ContainsFunc(c.Given, func(text string) bool { return strings.Contains(text, "kind: Service") }) {
		said = append(said, "There is no Service.")
	}
	if c.User != "" {
		said = append(said, "The request is by "+code(c.User)+".")
	}
	if c.DeleteOptions != "" {
		said = append(said, "The delete says "+code(c.DeleteOptions)+".")
	}
	if c.DryRun {
		said = append(said, "The request is a dry run.")
	}
	return strings.Join(said, " ")
}

// profileOf returns what a profile says of the rule.
func profileOf(name string, rule policies.Rule) (ProfileDoc, error) {
	p := ProfileDoc{Name: name, Action: string(v1alpha1.Off)}
	profile, err := profiles.Load(name)
	if err != nil {
		return p, err
	}
	data, err := json.Marshal(profile.Spec.Rules)
	if err != nil {
		return p, err
	}
	var blocks map[string]map[string]any
	err = json.Unmarshal(data, &blocks)
	if p.Block = blocks[rule.Block]; p.Block != nil {
		action, _ := p.Block["action"].(string)
		p.Action = cmp.Or(action, p.Action)
	}
	return p, err
}

func triggers(rule policies.Rule) string {
	var on []string
	for _, t := range rule.On {
		var operations []string
		for _, op := range t.Operations {
			operations = append(operations, strings.ToLower(string(op)))
		}
		on = append(on, t.Kind+" "+strings.Join(operations, ", "))
	}
	return strings.Join(on, "; ")
}
