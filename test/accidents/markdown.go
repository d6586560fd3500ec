package main

import (
	"fmt"
	"strings"
)

const preamble = `# Accidents

<!-- Written by make accidents. -->

Each row runs on a real control plane of etcd, kube-apiserver, kube-controller-manager and kube-scheduler, first without Mooring and then
with it. The StatefulSet has three or five ready members, each with a claim. The column *lost* compares claims, volumes, ready members and
DNS names before and after. ` + "`make accidents`" + ` runs everything and writes this page. ` + "`make test-long`" + ` fails if an accident gets
through, if an operation is refused, or if this page is out of date.

The columns ` + "`baseline`" + ` and ` + "`restricted`" + ` show the answer of each profile. Requests that ` + "`baseline`" + ` refuses, ` + "`restricted`" + ` refuses too.
The end of the page lists what no admission webhook can stop.
`

const limits = `
## What admission cannot stop

- **An owner reference to a kind that Mooring may not read, or that the cluster does not serve.** Mooring cannot tell whether the owner
  exists, and warns. It does not warn the operator of the kind.
- **Deleting Mooring's webhook configurations, or the StatefulPolicy CRD.** The API server calls no webhook for webhook configurations, so
  that no webhook can lock a cluster. Protect them with RBAC, or with a ValidatingAdmissionPolicy.
- **A custom resource whose operator takes the replicas from a field that nobody has named.** Mooring judges the fields of
  scale subresources, of well-known operators, and of policies. A number that one field spreads over several StatefulSets draws a warning.
- **What an operator decides by itself**, such as a scale-down that follows from its version or configuration. Mooring warns the operator.
- **Labels that turn Mooring off.** A user who may label a namespace ` + "`mooring.dev/profile: off`" + ` can then delete what is in it.
- **Draining the nodes, or deleting the Pods, of a StatefulSet that has lost its majority already.** There is no majority to protect.
- **Preemption, and evictions from nodes that stop responding.** Mooring lets the scheduler and the node controllers pass: a refusal would
  block the cluster and bring no machine back. Give members a PriorityClass, and spread them over nodes.
- **Machines, disks and etcd that fail.** There is no request to refuse.
`

// markdown returns the page.
func markdown(accidents []Accident, happened []Outcome, operations []Operation, operated []Outcome) string {
	var b strings.Builder
	b.WriteString(preamble)
	fmt.Fprintf(&b, "\n## %d accidents\n\n| what happens | what is sent | lost without Mooring | baseline | restricted |\n| --- | --- | --- | --- | --- |\n", len(accidents))
	for i, a := range accidents {
		refused := "refused: " + links(strings.Split(a.By, " or "))
		if a.Left != (Loss{}) {
			refused += "; still lost: " + a.Left.String()
		}
		baseline := refused
		if a.Profile == "restricted" {
			baseline = "passes"
			if happened[i].Stopped {
				baseline = "the requests that delete data are refused"
			}
			if len(happened[i].Warned) > 0 {
				baseline += ", warning: " + links(happened[i].Warned)
			}
		} else {
			refused = "refused"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", a.Name, code(a.Do), happened[i].Lost, baseline, refused)
	}
	fmt.Fprintf(&b, "\n## %d operations that must pass\n\n| what is done | what is sent | warnings | profile |\n| --- | --- | --- | --- |\n", len(operations))
	for i, o := range operations {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Name, code(o.Do), links(operated[i].Warned), o.Profile)
	}
	b.WriteString(limits)
	return b.String()
}

// code returns a script as code in a table cell, line by line.
func code(script string) string {
	lines := strings.Split(script, "\n")
	for i, line := range lines {
		lines[i] = "`" + strings.ReplaceAll(line, "|", `\|`) + "`"
	}
	return strings.Join(lines, "<br>")
}

// links returns findings with links to their rules' pages.
func links(findings []string) string {
	linked := make([]string, len(findings))
	for i, id := range findings {
		rule, _, _ := strings.Cut(id, "/")
		linked[i] = fmt.Sprintf("[%s](../rules/%s.md)", id, rule)
	}
	return strings.Join(linked, ", ")
}
