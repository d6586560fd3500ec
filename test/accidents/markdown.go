package main

import (
	"fmt"
	"strings"
)

const preamble = `# Accidents

<!-- Written by make accidents. -->

What tired people and eager tools send, on a real control plane of etcd, kube-apiserver, kube-controller-manager and
kube-scheduler, first without Mooring, then with it. What is lost is found by looking: at claims, volumes, ready members and
the names that DNS has for them. The StatefulSet has three or five ready members with a claim each. ` + "`make accidents`" + ` lets
everything happen again and writes this page; ` + "`make test-long`" + ` fails where an accident gets through, where an operation is refused,
or where this page does not say what happened.

The columns ` + "`baseline`" + ` and ` + "`restricted`" + ` say what each profile answers; what baseline refuses, restricted refuses too.
What no admission webhook can stop is at the end.
`

const limits = `
## What admission cannot stop

- **An owner of a kind that Mooring may not read, or that the cluster does not serve.** Whether it exists cannot be told. Whoever names
  one is warned, unless they operate the kind.
- **The delete of Mooring's webhook configurations, or of the StatefulPolicy CRD.** The API server calls no webhook about webhook
  configurations, so that nobody can lock a cluster. RBAC has to keep them, and a ValidatingAdmissionPolicy can.
- **Labels that turn Mooring off.** Who may label a namespace ` + "`mooring.dev/profile: off`" + ` may delete what is in it.
- **All nodes drained, or all Pods deleted, of a StatefulSet that has no majority anyway.** Nothing is left to keep.
- **What happens to nodes, disks and etcd.** A node that is deleted while it still runs has its Pods forced away by the Pod garbage
  collector; only whoever deletes it knows that it is off.
`

// markdown writes the tables with what became of everything.
func markdown(accidents []Accident, happened []Outcome, operations []Operation, operated []Outcome) string {
	var b strings.Builder
	b.WriteString(preamble)
	fmt.Fprintf(&b, "\n## %d accidents\n\n| what happens | what is sent | lost without Mooring | baseline | restricted |\n| --- | --- | --- | --- | --- |\n", len(accidents))
	for i, a := range accidents {
		refused := "refused: " + links(strings.Split(a.By, " or "))
		if a.Left != (Loss{}) {
			refused += "; lost all the same: " + a.Left.String()
		}
		baseline := refused
		if a.Profile == "restricted" {
			baseline = "passes"
			if happened[i].Stopped {
				baseline = "what takes data is refused"
			}
			if len(happened[i].Warned) > 0 {
				baseline += ", warned of " + links(happened[i].Warned)
			}
		} else {
			refused = "refused"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", a.Name, code(a.Do), happened[i].Lost, baseline, refused)
	}
	fmt.Fprintf(&b, "\n## %d operations that nobody is refused\n\n| what is done | what is sent | warned of | profile |\n| --- | --- | --- | --- |\n", len(operations))
	for i, o := range operations {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Name, code(o.Do), links(operated[i].Warned), o.Profile)
	}
	b.WriteString(limits)
	return b.String()
}

// code writes a script as code in a cell of a table, a line for each of its.
func code(script string) string {
	lines := strings.Split(script, "\n")
	for i, line := range lines {
		lines[i] = "`" + strings.ReplaceAll(line, "|", `\|`) + "`"
	}
	return strings.Join(lines, "<br>")
}

// links writes findings with links to their rules' pages.
func links(findings []string) string {
	linked := make([]string, len(findings))
	for i, id := range findings {
		rule, _, _ := strings.Cut(id, "/")
		linked[i] = fmt.Sprintf("[%s](../rules/%s.md)", id, rule)
	}
	return strings.Join(linked, ", ")
}
