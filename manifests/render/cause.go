package render

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/mooring-dev/mooring/manifests"
)

// Parts of kustomize's messages. Its errors have no types.
var (
	// inFolder is its message for each folder before the cause.
	inFolder = regexp.MustCompile(`(?:recursed accumulation of path|couldn't make target for path) '([^']*)': `)
	// doing is its last step before the cause.
	doing = regexp.MustCompile("^(?:accumulating resources: |accumulation err='|(?:accumulating|merging) resources from '[^']*': |accumulating components: |accumulateDirectory: \"|trouble configuring builtin [^ ]* with config: `[^`]*`: )")
	// afterwards is how it goes on after the cause: why a file is no folder either, or the same in other words.
	afterwards = regexp.MustCompile(`(?s)(?:': must build at directory|': invalid file reference|: no matches for Id |; failed to find unique target).*$`)
	// malformed is what it says of a file that is no YAML.
	malformed = regexp.MustCompile(`^MalformedYAMLError: yaml: (?:line (\d+): )?(.*) in File: (.*)$`)
	// outside is what it says of a file that it may not read.
	outside = regexp.MustCompile(`^security; file '([^']*)' is not in or below '[^']*'?$`)
)

// lineOf is the number of the first line with the text.
func lineOf(data []byte, text string) int {
	before, _, _ := bytes.Cut(data, []byte(text))
	return 1 + bytes.Count(before, []byte("\n"))
}

// cause is the cause of what kustomize says, at the kustomization or the file that has it, without the folders on the way.
func (t *tracing) cause(err error) error {
	text, folder := err.Error(), t.folder
	if all := inFolder.FindAllStringSubmatchIndex(text, -1); len(all) > 0 {
		last := all[len(all)-1]
		folder, text = text[last[2]:last[3]], text[last[1]:]
	}
	for doing.MatchString(text) {
		text = doing.ReplaceAllString(text, "")
	}
	text = afterwards.ReplaceAllString(text, "")
	for _, quote := range []string{`'`, `"`} {
		// One that was opened before the cause.
		if strings.Count(text, quote)%2 == 1 {
			text = strings.TrimSuffix(text, quote)
		}
	}
	if m := malformed.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return &manifests.RenderError{Source: t.below(filepath.Join(folder, m[3])), Line: line, Message: m[2]}
	}
	at := &manifests.RenderError{Source: t.below(t.read[folder]), Message: text}
	if m := outside.FindStringSubmatch(text); m != nil {
		name, err := filepath.Rel(folder, m[1])
		if err != nil {
			name = m[1]
		}
		at.Message = name + " is not below the kustomization's folder. Fix: allow it with --load-restrictor=none"
		if data, err := t.FileSystem.ReadFile(t.read[folder]); err == nil {
			at.Line = lineOf(data, name)
		}
	}
	return at
}
