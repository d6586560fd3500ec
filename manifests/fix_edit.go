package manifests

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// setField returns the document with the scalar at the path set to value, which is a string or a number, and every other
// byte as it was. A field that the author wrote is left alone, unless it is null or empty. The error says that the text
// cannot be changed there without changing something else, as where an anchor shares it.
//
// A YAML encoder would write the whole document anew, and with it lines that nobody asked to change. So lines are put where
// they may belong, and what the result means decides: it is the document's meaning with the one field set, or it is not used.
func setField(text []byte, path string, value any) ([]byte, error) {
	t, err := parse(text)
	if err != nil {
		return nil, err
	}
	want, err := t.meaning()
	if err != nil {
		return nil, err
	}
	segments := strings.FieldsFunc(path, separatesSegments)
	if err := assign(want, segments, value); err != nil {
		return nil, err
	}
	for candidate := range (editor{tree: t, text: text, value: value}).candidates(segments) {
		if is, err := meaning(candidate); err == nil && reflect.DeepEqual(is, want) {
			return candidate, nil
		}
	}
	return nil, errors.New("changing the text there would change other fields too, for example because an anchor shares it")
}

// meaning returns a document's content as kubectl reads it, in decoded JSON.
func meaning(text []byte) (any, error) {
	t, err := parse(text)
	if err != nil || t == nil {
		return nil, err
	}
	return t.meaning()
}

func (t *tree) meaning() (any, error) {
	text, err := appendJSON(nil, t.root, 0)
	if err != nil {
		return nil, err
	}
	var says any
	// Numbers are kept as written: as floats, different ones can be equal.
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return says, d.Decode(&says)
}

// assign sets the field at the path, and creates its parents.
func assign(in any, path []string, value any) error {
	last := len(path) - 1
	for i, segment := range path {
		switch now := in.(type) {
		case []any:
			at, err := strconv.Atoi(strings.TrimSuffix(segment, "]"))
			if err != nil || at < 0 || at >= len(now) {
				return fmt.Errorf("there is no item %s", segment)
			}
			in = now[at]
		case map[string]any:
			if i == last {
				if is := now[segment]; is != nil && is != "" {
					return fmt.Errorf("%s is set already", segment)
				}
				now[segment] = jsonOf(value)
				return nil
			}
			if now[segment] == nil {
				now[segment] = map[string]any{}
			}
			in = now[segment]
		default:
			return fmt.Errorf("%s is in no object", segment)
		}
	}
	return errors.New("the path names no field")
}

// jsonOf returns the value as a JSON decoder returns it.
func jsonOf(value any) any {
	if s, ok := value.(string); ok {
		return s
	}
	return stdjson.Number(fmt.Sprint(value))
}

// editor edits the text of a document.
type editor struct {
	*tree
	text  []byte
	value any
}

// candidates yields texts with the field at the path, the most readable first. Some may be wrong.
func (e editor) candidates(path []string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var key *yaml.Node
		node, rest := e.root, path
		for len(rest) > 0 {
			k, next := child(node, rest[0])
			if next == nil {
				break
			}
			key, node, rest = k, follow(next), rest[1:]
		}
		switch {
		case node.Kind == yaml.ScalarNode:
			e.replace(key, node, rest, yield)
		case len(rest) == 0 || node.Kind != yaml.MappingNode:
		case node.Style&yaml.FlowStyle != 0:
			e.insertInFlow(node, rest, yield)
		default:
			e.insertInBlock(key, node, rest, yield)
		}
	}
}

// replace sets the field where a null or an empty string is, which may be no text at all after the key's colon.
func (e editor) replace(key, node *yaml.Node, rest []string, yield func([]byte) bool) {
	if key == nil {
		return
	}
	value := e.flow(rest)
	if len(rest) > 0 {
		value = "{" + value + "}"
	}
	at := e.offset(node.Line, node.Column)
	for _, token := range []string{`""`, `''`, "null", "Null", "NULL", "~"} {
		if bytes.HasPrefix(e.text[at:], []byte(token)) && !yield(splice(e.text, at, at+len(token), value)) {
			return
		}
	}
	at = e.offset(key.Line, key.Column)
	if colon := bytes.IndexByte(e.text[at:], ':'); colon >= 0 {
		yield(splice(e.text, at+colon+1, at+colon+1, " "+value))
	}
}

// insertInFlow inserts the field at the beginning of a mapping in braces.
func (e editor) insertInFlow(node *yaml.Node, rest []string, yield func([]byte) bool) {
	open := e.offset(node.Line, node.Column)
	brace := bytes.IndexByte(e.text[open:], '{')
	if brace < 0 {
		return
	}
	open += brace + 1
	field := e.flow(rest)
	if len(node.Content) == 0 {
		yield(splice(e.text, open, open, field))
		return
	}
	first := node.Content[0]
	at := e.offset(first.Line, first.Column)
	if at < open {
		return
	}
	between := ", "
	if start := e.offset(first.Line, 1); start > open {
		between = "," + e.newline() + string(e.text[start:at])
	}
	yield(splice(e.text, at, at, field+between))
}

// insertInBlock inserts the field on its own lines: after the last field that is on one line, or else before all fields.
func (e editor) insertInBlock(key, node *yaml.Node, rest []string, yield func([]byte) bool) {
	indent := strings.Repeat(" ", node.Content[0].Column-1)
	lines := e.block(rest, indent, e.step(key, node))
	for i := len(node.Content) - 2; i >= 0; i -= 2 {
		name, value := node.Content[i], node.Content[i+1]
		oneLine := value.Kind == yaml.ScalarNode && value.Line == name.Line && value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0
		if oneLine && !yield(e.lineAfter(name.Line, lines)) {
			return
		}
	}
	if key != nil && !yield(e.lineAfter(key.Line, lines)) {
		return
	}
	at := e.offset(node.Content[0].Line, 1)
	yield(splice(e.text, at, at, lines))
}

// step returns how much a mapping is indented more than its key, by default two spaces.
func (e editor) step(key, node *yaml.Node) int {
	if key != nil {
		if step := node.Content[0].Column - key.Column; step > 0 {
			return step
		}
	}
	return 2
}

// lineAfter inserts whole lines after the line with this number.
func (e editor) lineAfter(number int, lines string) []byte {
	at := e.offset(number+1, 1)
	if at == len(e.text) && !bytes.HasSuffix(e.text, []byte("\n")) {
		// The last line has no newline, and the result should not have one.
		newline := e.newline()
		return splice(e.text, at, at, newline+strings.TrimSuffix(lines, newline))
	}
	return splice(e.text, at, at, lines)
}

// block returns the field on its own lines.
func (e editor) block(path []string, indent string, step int) string {
	var b strings.Builder
	for i, name := range path {
		b.WriteString(indent + strings.Repeat(" ", i*step) + name + ":")
		if i == len(path)-1 {
			b.WriteString(" " + e.scalar())
		}
		b.WriteString(e.newline())
	}
	return b.String()
}

// flow returns the field as it is in braces, or only the value for an empty path.
func (e editor) flow(path []string) string {
	if len(path) == 0 {
		return e.scalar()
	}
	name := path[0]
	if e.json() {
		name = strconv.Quote(name)
	}
	if len(path) == 1 {
		return name + ": " + e.scalar()
	}
	return name + ": {" + e.flow(path[1:]) + "}"
}

func (e editor) scalar() string {
	var text []byte
	var err error
	if e.json() {
		text, err = stdjson.Marshal(e.value)
	} else {
		text, err = yaml.Marshal(e.value)
	}
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}

// json reports whether the document is JSON, as far as it matters.
func (e editor) json() bool {
	return e.root.Kind == yaml.MappingNode && e.root.Style&yaml.FlowStyle != 0 && len(e.root.Content) > 0 &&
		e.root.Content[0].Style&yaml.DoubleQuotedStyle != 0
}

func (e editor) newline() string { return newlineOf(e.text) }

// newlineOf returns the newline of the text.
func newlineOf(text []byte) string {
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// offset returns the offset in the text of a line and a column, from 1 and in characters.
func (e editor) offset(line, column int) int {
	at := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(e.text[at:], '\n')
		if i < 0 {
			return len(e.text)
		}
		at += i + 1
	}
	rest := e.text[at:]
	for i := range string(rest) {
		if column == 1 {
			return at + i
		}
		column--
	}
	return len(e.text)
}

// splice returns the text with the part between two offsets replaced.
func splice(text []byte, start, end int, with string) []byte {
	out := make([]byte, 0, len(text)+len(with))
	out = append(out, text[:start]...)
	out = append(out, with...)
	return append(out, text[end:]...)
}
