package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const preamble = `# Reported cases

<!-- Written by make live. -->

These scripts replay problems that people reported with StatefulSets, operators, Helm and GitOps tools, on a real control plane with
Mooring. The header of a script names the report, the expected result, and the result before Mooring was fixed. ` + "`test/live/cases.yaml`" + `
has the expected result of each profile today. ` + "`make live CASES=FOLDER`" + ` runs the scripts of a folder and writes this page.

| case | what it tries | reported in | expected | before | now | verdict |
| --- | --- | --- | --- | --- | --- | --- |
`

// row returns the script's row, and whether its answers are as expected.
func (s Script) row(log string) (row string, right bool) {
	now, verdict, right := s.Skip, "not run", true
	if s.Skip == "" {
		now, verdict = answers(rounds(log)), "right"
		if wrong := s.wrong(rounds(log)); len(wrong) > 0 {
			verdict, right = "**wrong**: "+strings.Join(wrong, "; "), false
		}
	}
	if s.Note != "" && right {
		verdict += ": " + s.Note
	}
	cells := []string{s.name, s.Tries, s.sources, s.expected, s.before, now, verdict}
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n", right
}

// wrong returns the differences from the expectation.
func (s Script) wrong(rounds []round) []string {
	if len(s.Expect) == 0 {
		return []string{"cases.yaml expects nothing of it"}
	}
	var wrong []string
	for profile, e := range s.Expect {
		var text string
		for _, r := range rounds {
			if profile == r.profile || profile == "script" {
				text += r.text
			}
		}
		for _, id := range e.Refuses {
			if !slices.Contains(found(refusal, text), id) {
				wrong = append(wrong, fmt.Sprintf("%s does not refuse %s", profile, id))
			}
		}
		for _, id := range e.Warns {
			if !slices.Contains(found(warning, text), id) {
				wrong = append(wrong, fmt.Sprintf("%s does not warn of %s", profile, id))
			}
		}
		for _, pattern := range e.Shows {
			if !regexp.MustCompile(pattern).MatchString(text) {
				wrong = append(wrong, fmt.Sprintf("%s does not show `%s`", profile, pattern))
			}
		}
		for _, pattern := range e.Never {
			if regexp.MustCompile(pattern).MatchString(text) {
				wrong = append(wrong, fmt.Sprintf("%s shows `%s`", profile, pattern))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// round is a script's output in a namespace with a profile.
type round struct{ profile, text string }

var roundLine = regexp.MustCompile(`(?m)^## \S+ with profile (\S+)$`)

// rounds splits a script's output into its rounds.
func rounds(log string) []round {
	var all []round
	profile, from := "", 0
	for _, at := range roundLine.FindAllStringSubmatchIndex(log, -1) {
		all = append(all, round{profile, log[from:at[0]]})
		profile, from = log[at[2]:at[3]], at[0]
	}
	return append(all, round{profile, log[from:]})
}

var (
	// A denial has a line for each finding. The first comes after the webhook's name.
	refusal = regexp.MustCompile(`(?m)(?:denied the request: |^ +)([a-z-]+/[a-z-]+): \S`)
	warning = regexp.MustCompile(`Warning: ([a-z-]+/[a-z-]+):`)
)

// found returns the findings that a pattern matches in a text, without duplicates.
func found(pattern *regexp.Regexp, text string) []string {
	var ids []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(ids, m[1]) {
			ids = append(ids, m[1])
		}
	}
	return ids
}

// answers returns what each profile refused and warned about.
func answers(rounds []round) string {
	var profiles []string
	texts := map[string]string{}
	for _, r := range rounds {
		if !slices.Contains(profiles, r.profile) {
			profiles = append(profiles, r.profile)
		}
		texts[r.profile] += r.text
	}
	var cells []string
	for _, profile := range profiles {
		var said []string
		for _, kind := range []struct {
			verb    string
			pattern *regexp.Regexp
		}{{"refuses", refusal}, {"warns of", warning}} {
			if ids := found(kind.pattern, texts[profile]); ids != nil {
				said = append(said, kind.verb+" "+links(ids))
			}
		}
		switch what := strings.Join(said, "; "); {
		case what != "":
			cells = append(cells, strings.TrimSpace(profile+" "+what))
		case profile != "" && profile != "off":
			cells = append(cells, profile+" says nothing")
		}
	}
	return strings.Join(cells, "<br>")
}

// links returns findings with links to their rules' pages.
func links(ids []string) string {
	linked := make([]string, len(ids))
	for i, id := range ids {
		rule, _, _ := strings.Cut(id, "/")
		linked[i] = fmt.Sprintf("[%s](../rules/%s.md)", id, rule)
	}
	return strings.Join(linked, ", ")
}
