// Package ruledoc is the documentation of the rules, generated from them and from their test cases.
package ruledoc

import (
	_ "embed"
	"encoding/json"
)

//go:embed rules.json
var generated []byte

// All returns the documentation of every rule, by ID.
func All() ([]Rule, error) {
	var all []Rule
	return all, json.Unmarshal(generated, &all)
}

// Rule is the documentation of a rule, for its page and for mooring explain.
type Rule struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Doc      string `json:"doc"`
	Severity string `json:"severity"`
	// On describes the requests that the rule judges.
	On     string  `json:"on"`
	Checks []Check `json:"checks"`
	// Block is the name of the rule's block in a policy's spec.rules, and Parameters are its fields.
	Block      string      `json:"block"`
	Parameters []Parameter `json:"parameters"`
	Profiles   []Profile   `json:"profiles"`
	Examples   []Example   `json:"examples"`
	Docs       string      `json:"docs"`
}

// Check is one of the findings that a rule can report.
type Check struct {
	ID    string `json:"id"`
	Finds string `json:"finds"`
}

// Profile is the rule's part of a profile.
type Profile struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	// Block is the rule's block in the profile, nil if it has none.
	Block map[string]any `json:"block,omitempty"`
}

// Example is a change with the engine's answer.
type Example struct {
	Name string `json:"name"`
	// Policy holds the parameters, if they are not just the action Deny.
	Policy map[string]any `json:"policy,omitempty"`
	// Around describes the objects around the change.
	Around    string     `json:"around,omitempty"`
	Manifests []Manifest `json:"manifests"`
	Verdict   []Said     `json:"verdict"`
}

// Manifest is an object of an example, as the difference from the usual one.
type Manifest struct {
	Title string `json:"title"`
	YAML  string `json:"yaml"`
}

// Said is a finding as a user reads it, or the text for no finding.
type Said struct {
	Finding bool   `json:"finding"`
	Text    string `json:"text"`
}

// Parameter is a field of a rule's block in a policy.
type Parameter struct {
	Name string `json:"name"`
	// Value describes the possible values, empty for a field that only contains others.
	Value string `json:"value,omitempty"`
	Doc   string `json:"doc"`
}
