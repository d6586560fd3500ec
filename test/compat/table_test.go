package compat

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

const tableHead = `# Other programs

<!-- Written by make compat. -->

Programs from other projects run on a real control plane with simulated nodes: first without Mooring's rules, then in mode warn, under
baseline and under restricted. In each cell, *right* counts the refusals that a user of the profile wants, and *wrong* the others; *drift*
counts the objects that a second apply changed; *fights* counts the objects that were written more than twice as often as without
rules. *Reads* are Mooring's own calls about the case's namespace, under baseline.

| program | version | what it does | warn | baseline | restricted | reads |
| --- | --- | --- | --- | --- | --- | --- |
`

// writeTable writes what became of every case.
func writeTable(ctx context.Context, path string) error {
	var page bytes.Buffer
	page.WriteString(tableHead)
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.program, b.program), cmp.Compare(a.name, b.name)) })
	reasons := map[string]bool{}
	said, err := shared.Run(ctx, shared.Kubeconfig, "", "version")
	if err != nil {
		return err
	}
	_, server, _ := strings.Cut(said, "Server Version: ")
	for _, r := range rows {
		version := strings.TrimSpace(server)
		if r.program != "kubectl" {
			var err error
			if version, err = programNamed(r.program).about(ctx, "{{.Version}}"); err != nil {
				return err
			}
		}
		fmt.Fprintf(&page, "| %s | %s | %s |", r.program, version, r.name)
		for _, profile := range profiles[1:] {
			o, wrong := r.outcomes[profile], len(r.wrong(profile))
			fmt.Fprintf(&page, " %d right, %d wrong; drift %d; fights %d |", len(o.denials)-wrong, wrong, o.drift, len(r.fights(profile)))
			for _, d := range r.refused[profile] {
				reasons[fmt.Sprintf("| %s | %s | %s | %s |\n", profile, d.finding, d.request, d.why)] = true
			}
		}
		reads := 0
		for _, c := range r.outcomes["baseline"].calls {
			if c.User.Username == "system:serviceaccount:mooring-system:mooring" {
				reads++
			}
		}
		fmt.Fprintf(&page, " %d |\n", reads)
	}
	page.WriteString("\n## Right refusals\n\n| profile | finding | request | why |\n| --- | --- | --- | --- |\n")
	lines := make([]string, 0, len(reasons))
	for line := range reasons {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	page.WriteString(strings.Join(lines, ""))
	if len(e2eRows) > 0 {
		writeE2E(&page)
	}
	memory, err := peakMemory()
	if err != nil {
		return err
	}
	fmt.Fprintf(&page, "\nMooring's peak memory in this run: %s.\n", memory)
	return os.WriteFile(path, page.Bytes(), 0o644)
}

// writeE2E writes what became of Kubernetes' own cases.
func writeE2E(page *bytes.Buffer) {
	passed := map[string]int{}
	for _, c := range e2eRows {
		for profile, o := range c.outcomes {
			if o.passed {
				passed[profile]++
			}
		}
	}
	fmt.Fprintf(page, "\n## Kubernetes' own cases\n\nOf %d cases, %d pass on simulated nodes without rules, %d in mode warn, and %d under baseline. Baseline refuses these:\n\n| case | refused by | why |\n| --- | --- | --- |\n",
		len(e2eRows), passed["off"], passed["warn"], passed["baseline"])
	for _, c := range e2eRows {
		if allowed, listed := e2eRefused[c.name]; listed {
			fmt.Fprintf(page, "| %s | %s | %s |\n", strings.TrimPrefix(c.name, "[sig-apps] "), allowed.finding, allowed.why)
		}
	}
}

// peakMemory is the most that Mooring took.
func peakMemory() (string, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", shared.PID()))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			var kib int
			_, err := fmt.Sscan(rest, &kib)
			return fmt.Sprintf("%d MiB", kib/1024), err
		}
	}
	return "", fmt.Errorf("process %d has no VmHWM", shared.PID())
}
