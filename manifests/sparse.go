package manifests

import (
	"bytes"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// unread are the keys in Pod templates below which no rule reads anything, so that they need not be parsed.
var unread = sets.New(kinds.Unread()...)

// sparse returns the text without the content of unread keys, with all other lines in place. It reads lines, not YAML: if the text
// is not in the usual block style, the result may not parse, and the whole text must be parsed instead.
func sparse(text []byte) []byte {
	short := make([]byte, 0, len(text))
	// below is the column of the key whose lines are skipped, or -1.
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
