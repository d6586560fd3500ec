package manifests

import (
	"bytes"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// unread are the keys of Pod templates under which no rule reads anything: what they hold need not be parsed.
var unread = sets.New(kinds.Unread()...)

// sparse returns the text with nothing under the keys of unread fields, every line where it was. It reads lines and not YAML:
// what it makes of a text that is not in the usual block style may not parse, and then the text itself has to be.
func sparse(text []byte) []byte {
	short := make([]byte, 0, len(text))
	// below is the column of the key whose lines are left out, or -1.
	below := -1
	for line := range bytes.Lines(text) {
		rest := bytes.TrimLeft(line, " ")
		column := len(line) - len(rest)
		if below >= 0 && (column > below || len(bytes.TrimSpace(rest)) == 0 || column == below && rest[0] == '-') {
			short = append(short, '\n')
			continue
		}
		below = -1
		short = append(short, line...)
		for bytes.HasPrefix(rest, []byte("- ")) {
			rest = bytes.TrimLeft(rest[1:], " ")
		}
		if key, value, ok := bytes.Cut(rest, []byte(":")); ok && len(bytes.TrimSpace(value)) == 0 && unread.Has(string(key)) {
			below = len(line) - len(rest)
		}
	}
	return short
}
