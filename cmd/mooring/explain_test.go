package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/policies/rules"
)

func TestExplain(t *testing.T) {
	for _, tc := range []struct {
		name, args string
		want       []string
		err        string
	}{
		{name: "all rules", want: []string{"RULE", "BASELINE  RESTRICTED", "scale-down", "volume-reclaim"}},
		{name: "one rule", args: "scale-down", want: []string{"scale-down: A scale-down leaves", "scale-down/quorum", "maxStep <number, at least 1>", "=> Deny scale-down/quorum: "}},
		{name: "the ID of a finding", args: "scale-down/quorum", want: []string{"scale-down: A scale-down leaves"}},
		{name: "a misspelled rule", args: "scaledown", err: `unknown rule "scaledown"; did you mean scale-down?`},
		{name: "an unknown rule", args: "xyzzy", err: `unknown rule "xyzzy". Fix: list the rules with mooring explain`},
		{name: "an unknown output format", args: "-o yaml", err: `--output="yaml" is not valid. Fix: use text or json`},
		{name: "completion", args: "__complete", want: []string{"scale-down\tA scale-down leaves"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := runExplain(tc.args)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("error %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("nothing says %q in:\n%s", want, out)
				}
			}
		})
	}
}

// runExplain runs the command; with __complete it asks for shell completion.
func runExplain(args string) (string, error) {
	cmd := newExplain()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	words := strings.Fields(args)
	if args == "__complete" {
		words = []string{args, ""}
	}
	cmd.SetArgs(words)
	err := cmd.Execute()
	return out.String(), err
}

func TestExplainJSON(t *testing.T) {
	one, err := runExplain("scale-down -o json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ ID string }
	if err := json.Unmarshal([]byte(one), &doc); err != nil || doc.ID != "scale-down" {
		t.Errorf("%v, the rule %q", err, doc.ID)
	}
	all, err := runExplain("-o json")
	if err != nil {
		t.Fatal(err)
	}
	var docs []struct{ ID string }
	if err := json.Unmarshal([]byte(all), &docs); err != nil || len(docs) != len(rules.All) {
		t.Errorf("%v, %d of %d rules", err, len(docs), len(rules.All))
	}
}
