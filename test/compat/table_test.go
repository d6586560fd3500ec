package compat

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// part is the result of a part of the suite that passed.
type part struct {
	// Commit is the commit that it ran on, or empty if there were uncommitted changes.
	Commit string
	Lines  []line
	E2E    *e2eSummary
	// MiB is Mooring's peak memory.
	MiB int
}

// line is a case in the table.
type line struct {
	Program, Version, Case string
	// Under has a cell for each profile but off.
	Under map[string]cell
	// Reads counts Mooring's own calls for the case's namespace under baseline.
	Reads int
}

type cell struct {
	Refused                     []seen
	Wrong, Again, Drift, Fights int
}

// seen is an observed refusal, and why a user wants it.
type seen struct{ Finding, Request, Said, Why string }

func (c cell) String() string {
	var all []string
	for _, count := range []struct {
		n    int
		what string
	}{{len(c.Refused), "refused"}, {c.Wrong, "**wrongly refused**"}, {c.Again, "repeated"}, {c.Drift, "drifted"}, {c.Fights, "**fights**"}} {
		if count.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	return cmp.Or(strings.Join(all, ", "), "passes")
}

// lineOf returns the table's line for a case.
func lineOf(ctx context.Context, r row) (line, error) {
	l := line{Program: r.program, Case: r.name, Under: map[string]cell{}}
	var err error
	if l.Version, err = versionOf(ctx, r.program); err != nil {
		return l, err
	}
	for _, profile := range profiles[1:] {
		o := r.outcomes[profile]
		c := cell{Wrong: len(r.wrong(profile)), Again: repeated(o.calls), Drift: o.drift, Fights: len(r.fights(profile))}
		for _, d := range o.denials {
			if i := slices.IndexFunc(r.refused[profile], func(wanted refusal) bool { return wanted.is(d) }); i >= 0 {
				c.Refused = append(c.Refused, seen{d.Finding, d.Request, d.Said, r.refused[profile][i].why})
			}
		}
		l.Under[profile] = c
	}
	for _, c := range r.outcomes["baseline"].calls {
		if c.User.Username == mooringsOwn {
			l.Reads++
		}
	}
	return l, nil
}

func versionOf(ctx context.Context, name string) (string, error) {
	if name != "kubectl" {
		return programNamed(name).about(ctx, "{{.Version}}")
	}
	said, err := shared.Run(ctx, shared.Kubeconfig, "", "version")
	_, server, _ := strings.Cut(said, "Server Version: ")
	return strings.TrimSpace(server), err
}

// keepPart writes the result of a part to a file.
func keepPart(ctx context.Context, file string) error {
	p := part{E2E: e2eSeen}
	var err error
	if p.Commit, err = commit(ctx); err != nil {
		return err
	}
	for _, r := range rows {
		l, err := lineOf(ctx, r)
		if err != nil {
			return err
		}
		p.Lines = append(p.Lines, l)
	}
	if p.MiB, err = peakMemory(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// commit returns the current commit, or nothing if there are uncommitted changes outside of docs/measurements.
func commit(ctx context.Context) (string, error) {
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":/", ":(top,exclude)docs/measurements").Output()
	if err != nil || len(changed) > 0 {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	return strings.TrimSpace(string(out)), err
}

// sameMooring reports whether two commits differ only in this suite, in docs and in the Makefile.
func sameMooring(one, other string) bool {
	return exec.Command("git", "diff", "--quiet", one, other, "--", ":/", ":(top,exclude)test/compat", ":(top,exclude)docs", ":(top,exclude)Makefile").Run() == nil
}

// merge writes the table if all parts passed with the same version of Mooring.
func merge(folder, table string) error {
	var whole part
	var missing []string
	var last string
	for _, name := range parts {
		var p part
		data, err := os.ReadFile(partFile(folder, name))
		if err == nil {
			err = json.Unmarshal(data, &p)
		}
		switch same := last == "" || sameMooring(last, p.Commit); {
		case err != nil:
			missing = append(missing, name+" has not passed")
		case p.Commit == "":
			missing = append(missing, name+" ran with uncommitted changes")
		case !same:
			missing = append(missing, name+" ran with another version of Mooring")
		default:
			last = p.Commit
		}
		whole.Lines = append(whole.Lines, p.Lines...)
		whole.E2E = cmp.Or(whole.E2E, p.E2E)
		whole.MiB = max(whole.MiB, p.MiB)
	}
	if missing != nil {
		fmt.Printf("%s is unchanged: %s. Fix: run make compat PART='…' for these parts\n", table, strings.Join(missing, ", "))
		return nil
	}
	return os.WriteFile(table, whole.page(), 0o644)
}

func partFile(folder, name string) string { return filepath.Join(folder, name+".json") }

const tableHead = `# Other programs

<!-- Written by make compat. -->

Programs from other projects run on a real control plane with simulated nodes: first without Mooring's rules, then in mode warn, under
baseline, and under restricted. A case passes under a profile if it ends as it does without rules. *Refused* counts the requests that a
user of the profile wants refused; the case continues after them. *Repeated* counts the refused requests that repeat an earlier one,
*drifted* the objects that a second apply changed, and *fights* the objects that a client wrote, or tried to write, more than twice as
often as without rules (and more than five times). *Reads* counts Mooring's own calls for the case's namespace under baseline.

| program | version | case | warn | baseline | restricted | reads |
| --- | --- | --- | --- | --- | --- | --- |
`

func (p part) page() []byte {
	var page bytes.Buffer
	page.WriteString(tableHead)
	slices.SortStableFunc(p.Lines, func(a, b line) int { return cmp.Compare(a.Program, b.Program) })
	reasons := map[seen]string{}
	for _, l := range p.Lines {
		fmt.Fprintf(&page, "| %s | %s | %s |", l.Program, l.Version, l.Case)
		for _, profile := range profiles[1:] {
			fmt.Fprintf(&page, " %s |", l.Under[profile])
			for _, s := range l.Under[profile].Refused {
				key := seen{Finding: profile + " | " + s.Finding, Request: s.Request, Why: s.Why}
				reasons[key] = cmp.Or(reasons[key], s.Said)
			}
		}
		fmt.Fprintf(&page, " %d |\n", l.Reads)
	}
	page.WriteString("\n## Expected refusals\n\n| profile | finding | request | example message | why |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range slices.SortedFunc(maps.Keys(reasons), func(a, b seen) int {
		return cmp.Or(cmp.Compare(a.Finding, b.Finding), cmp.Compare(a.Request, b.Request), cmp.Compare(a.Why, b.Why))
	}) {
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", s.Finding, s.Request, reasons[s], s.Why)
	}
	if p.E2E != nil {
		p.E2E.write(&page)
	}
	fmt.Fprintf(&page, "\nMooring's peak memory: %d MiB.\n", p.MiB)
	return page.Bytes()
}

// peakMemory returns Mooring's peak memory in MiB.
func peakMemory() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", shared.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			var kib int
			_, err := fmt.Sscan(rest, &kib)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM", shared.PID())
}
