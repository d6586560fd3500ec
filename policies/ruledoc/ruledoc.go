// Package ruledoc is the documentation of the rules, as generated from them and from the cases that test them.
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

// Rule is all that there is to say of a rule. Its page and mooring explain are made of it.
type Rule struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Doc      string `json:"doc"`
	Severity string `json:"severity"`
	// On says in words which requests the rule judges.
	On     string  `json:"on"`
	Checks []Check `json:"checks"`
	// Block is the name of its block in spec.rules of a policy, and Parameters are the block's fields.
	Block      string      `json:"block"`
	Parameters []Parameter `json:"parameters"`
	Profiles   []Profile   `json:"profiles"`
	Examples   []Example   `json:"examples"`
	Docs       string      `json:"docs"`
}

// Check is one of the findings that a rule can make.
type Check struct {
	ID    string `json:"id"`
	Finds string `json:"finds"`
}

// Profile is what a profile says of a rule.
type Profile struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	// Block is the rule's block in the profile; nil where it has none.
	Block map[string]any `json:"block,omitempty"`
}

// Example is one change and what the engine says of it.
type Example struct {
	Name string `json:"name"`
	// Policy holds the parameters, where they are not just the action Deny.
	Policy map[string]any `json:"policy,omitempty"`
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

// Parameter is one field of a rule's block in a policy.
type Parameter struct {
	Name string `json:"name"`
	// Value says in words what the field may hold, empty for one that only holds others.
	Value string `json:"value,omitempty"`
	Doc   string `json:"doc"`
}
