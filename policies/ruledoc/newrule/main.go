// Command newrule writes the skeleton of a rule: its file, its cases, its block in a policy, and its entry in the list of rules. It
// runs in the repository's root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
)

func main() {
	id := flag.String("name", "", "ID of the rule, in words joined by dashes, such as liveness-probe")
	reads := flag.String("reads", "", "a field with its kind that no rule has read before, such as StatefulSet:spec.template.spec.containers.livenessProbe")
	flag.Parse()
	if err := write(*id, *reads); err != nil {
		fmt.Fprintln(os.Stderr, "newrule:", err)
		os.Exit(1)
	}
}

func write(id, reads string) error {
	if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(id) {
		return fmt.Errorf("%q is not a valid rule name. Fix: make new-rule NAME=liveness-probe", id)
	}
	if _, ok := policies.Find(rules.All, id); ok {
		return fmt.Errorf("there is a rule %s", id)
	}
	block := policies.Rule{ID: id}.Block()
	typeName := strings.ToUpper(block[:1]) + block[1:]
	file := "policies/rules/" + strings.ReplaceAll(id, "-", "_") + ".go"
	for name, text := range map[string]string{file: skeleton, "policies/rules/testdata/" + id + ".yaml": cases} {
		text = strings.NewReplacer("<id>", id, "<block>", block, "<Type>", typeName).Replace(text)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	ids := []string{id}
	for _, rule := range rules.All {
		ids = append(ids, rule.ID)
	}
	slices.Sort(ids)
	next := "}\n\n// Judge reports"
	if i := slices.Index(ids, id); i+1 < len(ids) {
		next = "\t" + policies.Rule{ID: ids[i+1]}.Block() + ",\n"
	}
	return errors.Join(
		insert("policies/rules/rules.go", next, "\t"+block+",\n"),
		insert("policies/v1alpha1/types.go", "}\n\n// Enforcement is the common part", fmt.Sprintf("\t// %s: what it is about, in a few words.\n\t// +optional\n\t%s *%s `json:\"%[1]s,omitempty\"`\n", block, typeName, typeName)),
		insert("policies/v1alpha1/types.go", "// HeadlessService has the parameters", fmt.Sprintf("// %s has the parameters of the rule %s.\ntype %[1]s struct {\n\tEnforcement `json:\",inline\"`\n}\n\n", typeName, id)),
		keep(reads),
	)
}

// keep adds the field to the kind's row, so that it is not trimmed.
func keep(reads string) error {
	if reads == "" {
		return nil
	}
	name, path, ok := strings.Cut(reads, ":")
	kind := kinds.Named(name)
	if !ok || kind == nil {
		return fmt.Errorf("-reads %q: want a kind of policies/kinds and a field of it, such as Service:spec.ports", reads)
	}
	data, err := os.ReadFile("policies/kinds/kinds.go")
	if err != nil {
		return err
	}
	// The first field of a row is on the line after the row's constructor.
	row := regexp.MustCompile(`(?s)\n\t` + name + ` = .*?\n\t\t("(?:spec|status|metadata)[.a-zA-Z]*")`).FindSubmatchIndex(data)
	if row == nil {
		return fmt.Errorf("policies/kinds/kinds.go: the row of %s keeps no field yet. Fix: add %q to it by hand", name, path)
	}
	text := slices.Insert(data, row[2], fmt.Appendf(nil, "%q,\n\t\t", path)...)
	return os.WriteFile("policies/kinds/kinds.go", text, 0o644)
}

// insert inserts text before the only place in the file that begins with before.
func insert(file, before, text string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if n := strings.Count(string(data), before); n != 1 {
		return fmt.Errorf("%s: %q stands there %d times, want once", file, before, n)
	}
	return os.WriteFile(file, []byte(strings.Replace(string(data), before, text+before, 1)), 0o644)
}

const skeleton = `package rules

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var <block> = policies.Rule{
	ID:       "<id>",
	Title:    "What is true if all is well, in one line",
	Doc:      ` + "`" + `Why this rule exists, in one paragraph.` + "`" + `,
	Severity: policies.Low,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, create, update)},
	Checks:   []policies.Check{{Name: "wrong", Doc: "what is wrong"}},
	Logic: policies.Typed[v1alpha1.<Type>]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.<Type> { return &r.<Type> },
		Baseline:   &v1alpha1.<Type>{Enforcement: warn},
		Restricted: &v1alpha1.<Type>{Enforcement: warn},
		Object:     judge<Type>,
	},
}

func judge<Type>(o kinds.Object, _ policies.Cluster, _ v1alpha1.<Type>) ([]policies.Finding, error) {
	set := o.(*appsv1.StatefulSet)
	if set.Name != "wrong" {
		return nil, nil
	}
	return []policies.Finding{{
		Check: "wrong", Path: "metadata.name",
		Message: fmt.Sprintf("StatefulSet %s is wrong.", set.Name),
		Remedy:  "what to do, or the one command that does it",
	}}, nil
}
`

const cases = `apiVersion: mooring.dev/v1alpha1
kind: PolicyTest
rule: <id>
objects: [base.yaml]
given: [{kind: Service}]
cases:
- name: all is well
  new: {kind: StatefulSet}
- name: something is wrong
  new: {kind: StatefulSet, metadata: {name: wrong}}
  want: [wrong]
`
