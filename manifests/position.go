package manifests

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/mooring-dev/mooring/report"
)

// tree is a parsed YAML document with the place of every node.
type tree struct{ root *yaml.Node }

// parse parses a document; nil if it is empty.
func parse(text []byte) (*tree, error) {
	var n yaml.Node
	stream := yaml.NewDecoder(bytes.NewReader(text))
	if err := stream.Decode(&n); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := stream.Decode(&yaml.Node{}); err == nil {
		return nil, errors.New("more than one document")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	root := follow(n.Content[0])
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return &tree{root: root}, nil
}

// find returns the node at a path such as spec.list[0].name, or nil.
func (t *tree) find(path string) *yaml.Node {
	_, node, rest := t.walk(path)
	if rest {
		return nil
	}
	return node
}

// scalar returns the text of the scalar at the path.
func (t *tree) scalar(path string) string {
	if n := t.find(path); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// position returns the line and column, from 1 in the document, of the field at the path: of its key, or of the list item. If the
// field is missing, they are those of the innermost existing parent.
func (t *tree) position(path string) (line, column int) {
	at, _, _ := t.walk(path)
	return at.Line, at.Column
}

// walk follows the path as far as it exists. It returns the node that marks the place, the value there, and whether the path
// continues.
func (t *tree) walk(path string) (at, value *yaml.Node, rest bool) {
	at, value = t.root, t.root
	for segment := range strings.FieldsFuncSeq(path, separatesSegments) {
		key, next := child(value, segment)
		if next == nil {
			return at, value, true
		}
		at, value = key, follow(next)
	}
	return at, value, false
}

// separatesSegments reports whether the character separates the segments of a path: names, and indexes such as 0].
func separatesSegments(r rune) bool { return r == '.' || r == '[' }

// child returns the value of a path segment in the node, with the node that marks its place; nil if there is none.
func child(n *yaml.Node, segment string) (key, value *yaml.Node) {
	if digits, ok := strings.CutSuffix(segment, "]"); ok {
		if i, err := strconv.Atoi(digits); err == nil && n.Kind == yaml.SequenceNode && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	} else if n.Kind == yaml.MappingNode {
		return lookUpKey(n, segment, 0)
	}
	return nil, nil
}

// lookUpKey returns the key with this name and its value, from a mapping or one that it merges.
func lookUpKey(n *yaml.Node, name string, depth int) (key, value *yaml.Node) {
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		if n.Content[i].Value == name && n.Content[i].Tag != mergeTag {
			return n.Content[i], n.Content[i+1]
		}
	}
	if depth > maxDepth {
		return nil, nil
	}
	for _, from := range merges(n) {
		if key, value := lookUpKey(from, name, depth+1); key != nil {
			return key, value
		}
	}
	return nil, nil
}

// Position returns the place of the field at the path, or of its parent if the field is missing. The path is a finding's, such as
// spec.volumeClaimTemplates[0].metadata.name. For a rendered manifest it is the place in the source file, as far as it can be
// found.
func (d *Document) Position(path string) report.Position {
	if d.File.overlay != "" {
		if at, ok := d.patchedIn(d.File.overlay, path, 0); ok {
			return at
		}
		if at, ok := d.inSource(path); ok {
			return at
		}
	}
	if d.File.chart != nil {
		if at, ok := d.inValues(path); ok {
			return at
		}
	}
	line, column := d.place(path)
	return d.File.at(line, column, d.Template)
}

// at returns the position of a place in the file's data or, for a rendered manifest, in its source.
func (f *File) at(line, column int, template string) report.Position {
	if f.Rendered {
		line, column = f.origin(line)
	}
	return report.Position{File: f.Name, Line: line, Column: column, Template: template}
}

// Has reports whether the author wrote the field at the path.
func (d *Document) Has(path string) bool {
	t := d.parsed()
	return t != nil && t.find(d.Item+path) != nil
}

// context is how many lines are quoted before and after the field's.
const context = 2

// Lines returns the lines around the field at the path, to quote. For a rendered manifest, these are the rendered lines.
func (d *Document) Lines(path string) []report.Line {
	offending, column := d.place(path)
	var lines []report.Line
	number := d.Line
	for text := range bytes.Lines(d.Text()) {
		if number >= offending-context && number <= offending+context && !separates(text, "---") {
			at := 1
			if number == offending {
				at = column
			}
			lines = append(lines, report.Line{Number: number, Text: cut(strings.TrimRight(string(text), "\r\n"), at), Offending: number == offending})
		}
		number++
	}
	return lines
}

// longest limits how much of a line is quoted. JSON can be on one line.
const longest = 200

// cut returns the part of a long line around the column, which counts characters.
func cut(line string, column int) string {
	if len(line) <= longest {
		return line
	}
	all := []rune(line)
	start := min(max(column-1-longest/4, 0), len(all))
	end := min(start+longest, len(all))
	part := string(all[start:end])
	if start > 0 {
		part = "…" + part
	}
	if end < len(all) {
		part += "…"
	}
	return part
}

// place returns the line in the file's data, and the column.
func (d *Document) place(path string) (line, column int) {
	t := d.parsed()
	if t == nil {
		return d.Line, 1
	}
	line, column = t.position(d.Item + path)
	return d.Line + line - 1, column
}

// parsed parses the document again. Most documents have no findings, and their nodes need more memory than their objects.
func (d *Document) parsed() *tree {
	if d.tree == nil {
		d.tree = d.File.parsedAt(d.Start, d.End)
	}
	return d.tree
}

// lastParsed is the last parsed document of a file. The items of a List share it, and it may be large.
type lastParsed struct {
	sync.Mutex
	start int
	tree  *tree
}

func (f *File) parsedAt(start, end int) *tree {
	f.last.Lock()
	defer f.last.Unlock()
	if f.last.tree == nil || f.last.start != start {
		// The first parse had no error.
		t, _ := parse(f.Data[start:end])
		f.last.start, f.last.tree = start, t
	}
	return f.last.tree
}

// origin returns the place in the source file of a rendered line: where both have the same line exactly once, or else the same key.
// Otherwise only the file is known.
func (f *File) origin(line int) (int, int) {
	lines := bytes.Split(f.Data, []byte("\n"))
	if line < 1 || line > len(lines) || len(f.source) == 0 {
		return 1, 1
	}
	text := bytes.TrimSpace(lines[line-1])
	key, _, _ := bytes.Cut(text, []byte(":"))
	for _, want := range [][]byte{text, append(bytes.Clone(key), ':')} {
		found, at, column := 0, 0, 0
		number := 0
		for source := range bytes.Lines(f.source) {
			number++
			if trimmed := bytes.TrimSpace(source); len(want) > 1 && bytes.HasPrefix(trimmed, want) {
				found++
				at, column = number, bytes.Index(source, want)+1
			}
		}
		if found == 1 {
			return at, column
		}
	}
	return 1, 1
}
