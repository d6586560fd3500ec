package ruletest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	yamlv4 "go.yaml.in/yaml/v4"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// document is a YAML document that knows the line of every field.
type document struct {
	file string
	root *yamlv4.Node
}

// documentsOf returns the documents of a file that are not empty.
func documentsOf(name string) ([]document, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parse(name, data)
}

func parse(name string, data []byte) ([]document, error) {
	var all []document
	for stream := yamlv4.NewDecoder(bytes.NewReader(data)); ; {
		var n yamlv4.Node
		switch err := stream.Decode(&n); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, syntaxError(name, err)
		case n.Content[0].Tag != "!!null":
			all = append(all, document{name, n.Content[0]})
		}
	}
}

// decode decodes the document as the API server does, and rejects unknown fields.
func (d document) decode(into any) error {
	// For a duplicate key, the API server's parser reports no line, and it treats a merged key as a duplicate.
	if err := d.root.Decode(new(any)); err != nil {
		return syntaxError(d.file, err)
	}
	text, err := yamlv4.Marshal(d.root)
	if err != nil {
		return d.errorAt("", err)
	}
	if text, err = yaml.YAMLToJSON(text); err != nil {
		return d.errorAt("", err)
	}
	strict, err := kjson.UnmarshalStrict(text, into)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return d.errorAt(mistyped.Field, fmt.Errorf("%s is a %s and must be a %s", mistyped.Field, mistyped.Value, mistyped.Type))
	}
	if err != nil {
		return d.errorAt("", err)
	}
	if len(strict) == 0 {
		return nil
	}
	var field kjson.FieldError
	if errors.As(strict[0], &field) {
		return d.errorAt(field.FieldPath(), strict[0])
	}
	return d.errorAt("", strict[0])
}

// kind returns the document's kind.
func (d document) kind() string {
	if n := child(d.root, "kind"); n != nil {
		return n.Value
	}
	return ""
}

// items returns the items of a list.
func (d document) items(name string) []document {
	var all []document
	if list := child(d.root, name); list != nil {
		for _, n := range list.Content {
			all = append(all, document{d.file, n})
		}
	}
	return all
}

// errorAt adds the position of the field to the error.
func (d document) errorAt(path string, err error) error {
	return &Error{File: d.file, Line: d.lineOf(path), Err: err}
}

// syntaxError adds the parser's position to its error.
func syntaxError(file string, err error) error {
	var unreadable *yamlv4.LoadError
	if errors.As(err, &unreadable) {
		return &Error{File: file, Line: unreadable.Mark.Line, Err: errors.New(unreadable.Message)}
	}
	return &Error{File: file, Err: err}
}

// Error is an error in a test file, with its position.
type Error struct {
	File string
	// Line counts from 1; 0 means unknown.
	Line int
	Err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Err.Error()
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// lineOf returns the line of the field at a path such as cases[0].name, or of the innermost parent that exists.
func (d document) lineOf(path string) int {
	n, line := d.root, d.root.Line
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' || r == '[' }) {
		if n = child(n, segment); n == nil {
			break
		}
		line = n.Line
	}
	return line
}

// child returns the node for a path segment: a key, or an index as 0].
func child(n *yamlv4.Node, segment string) *yamlv4.Node {
	if digits, ok := strings.CutSuffix(segment, "]"); ok {
		if i, err := strconv.Atoi(digits); err == nil && n.Kind == yamlv4.SequenceNode && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	for i := 0; n.Kind == yamlv4.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == segment {
			return n.Content[i+1]
		}
	}
	return nil
}
