package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/ruledoc"
	"github.com/mooring-dev/mooring/policies/ruletest"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// explain returns the documentation of a rule.
func explain(rule policies.Rule) (ruledoc.Rule, error) {
	doc := ruledoc.Rule{
		ID: rule.ID, Title: rule.Title, Doc: rule.Doc, Severity: string(rule.Severity), On: triggers(rule), Block: rule.Block(), Docs: rule.DocsURL(),
	}
	for _, c := range rule.Checks {
		doc.Checks = append(doc.Checks, ruledoc.Check{ID: rule.ID + "/" + c.Name, Finds: c.Doc})
	}
	var err error
	if doc.Parameters, err = parametersOf(rule.Block()); err != nil {
		return doc, err
	}
	for _, name := range profiles.Names {
		p, err := profileOf(name, rule)
		if err != nil {
			return doc, err
		}
		doc.Profiles = append(doc.Profiles, p)
	}
	cases, err := ruletest.Of(rule)
	if err != nil {
		return doc, err
	}
	for _, c := range cases {
		e, err := exampleOf(rule, c)
		if err != nil {
			return doc, err
		}
		doc.Examples = append(doc.Examples, e)
	}
	return doc, nil
}

// exampleOf returns a case with the engine's answer.
func exampleOf(rule policies.Rule, c ruletest.Case) (ruledoc.Example, error) {
	e := ruledoc.Example{Name: c.Name, Policy: c.Policy, Around: around(c)}
	verdict, err := c.Judge()
	if err != nil {
		return e, err
	}
	before, after := "Before", "After"
	if c.Old == nil {
		after = "Created"
	}
	if c.New == nil {
		before = "Deleted"
	}
	show := func(title string, m ruletest.Manifest) {
		if m != nil {
			e.Manifests = append(e.Manifests, ruledoc.Manifest{Title: title, YAML: toYAML(m)})
		}
	}
	show("It is in the cluster", c.Stands)
	show(before, c.Old)
	show(after, c.New)
	for _, given := range c.Given {
		show("With", given)
	}
	for _, path := range slices.Sorted(maps.Keys(c.Patch)) {
		e.Verdict = append(e.Verdict, ruledoc.Said{Text: fmt.Sprintf("Mooring fills in the default %s: %v.", path, c.Patch[path])})
	}
	if len(c.Patch) == 0 && len(verdict.Findings) == 0 {
		e.Verdict = append(e.Verdict, ruledoc.Said{Text: "It passes."})
	}
	for _, f := range verdict.Findings {
		text := fmt.Sprintf("%s %s: %s\nFix: %s", f.Action, f.ID(), f.Message, f.Remedy)
		if f.Note != "" {
			text += "\n(" + f.Note + ")"
		}
		e.Verdict = append(e.Verdict, ruledoc.Said{Finding: true, Text: text})
	}
	return e, nil
}

// around describes in words what a case has besides its manifests.
func around(c ruletest.Case) string {
	var said []string
	if c.Rules != nil {
		said = append(said, "The policy also has "+code(flow(c.Rules))+".")
	}
	if c.Scale {
		said = append(said, "The request is to scale.")
	}
	for _, part := range []struct {
		what string
		of   []int32
	}{{"Pods that are ready", c.Ready}, {"Pods that are not ready", c.NotReady}, {"Claims of Pods", c.Claims}} {
		if len(part.of) > 0 {
			said = append(said, fmt.Sprintf("%s: %s.", part.what, strings.Trim(strings.ReplaceAll(fmt.Sprint(part.of), " ", ", "), "[]")))
		}
	}
	if slices.Contains(c.Without, "Service") && !slices.ContainsFunc(c.Given, func(m ruletest.Manifest) bool { return m["kind"] == "Service" }) {
		said = append(said, "The Service does not exist.")
	}
	if c.User != "" {
		said = append(said, "The user is "+code(c.User)+".")
	}
	if c.DeleteOptions != nil {
		said = append(said, "The delete has the options "+code(flow(c.DeleteOptions))+".")
	}
	if c.DryRun {
		said = append(said, "The request is a dry run.")
	}
	return strings.Join(said, " ")
}

// profileOf returns the rule's part of a profile.
func profileOf(name string, rule policies.Rule) (ruledoc.Profile, error) {
	p := ruledoc.Profile{Name: name, Action: string(v1alpha1.Off)}
	data, err := json.Marshal(profileRules(name))
	if err != nil {
		return p, err
	}
	var blocks map[string]map[string]any
	err = json.Unmarshal(data, &blocks)
	if p.Block = blocks[rule.Block()]; p.Block != nil {
		action, _ := p.Block["action"].(string)
		p.Action = cmp.Or(action, p.Action)
	}
	return p, err
}

func triggers(rule policies.Rule) string {
	var on, inFiles []string
	for _, t := range rule.On {
		var operations []string
		for _, op := range t.Operations {
			operations = append(operations, strings.ToLower(string(op)))
		}
		if len(operations) == 0 {
			operations = []string{"as it stands"}
		}
		if t.FilesOnly {
			inFiles = append(inFiles, t.Kind.Kind)
			continue
		}
		on = append(on, t.Kind.Kind+" "+strings.Join(operations, ", "))
	}
	if inFiles != nil {
		on = append(on, strings.Join(inFiles, ", ")+" in files")
	}
	return strings.Join(on, "; ")
}
