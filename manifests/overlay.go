package manifests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/mooring-dev/mooring/report"
)

// patchedIn returns the place of the patch, or other field of a kustomization, that sets the field at the path in a document
// rendered from the kustomization in the folder. The outermost one counts, because it is applied last.
func (d *Document) patchedIn(folder, path string, depth int) (report.Position, bool) {
	k, named, err := readKustomization(folder)
	if err != nil || depth > maxDepth {
		return report.Position{}, false
	}
	data, err := os.ReadFile(named)
	if err != nil {
		return report.Position{}, false
	}
	if t, err := parse(data); err == nil && t != nil {
		if at, ok := d.setBy(t, named, path); ok {
			return at, true
		}
	}
	for _, part := range slices.Concat(k.Components, k.Resources, k.Bases) {
		if part = filepath.Join(folder, part); !isFile(part) {
			if at, ok := d.patchedIn(part, path, depth+1); ok {
				return at, true
			}
		}
	}
	return report.Position{}, false
}

// setBy returns the place in a kustomization, or in one of its patches, that sets the field.
func (d *Document) setBy(t *tree, named, path string) (report.Position, bool) {
	if replicas := t.find("replicas"); path == "spec.replicas" && replicas != nil {
		for _, r := range replicas.Content {
			if _, name := child(r, "name"); name != nil && strings.Contains(d.Object.GetName(), name.Value) {
				return report.Position{File: named, Line: r.Line, Column: r.Column}, true
			}
		}
	}
	if path == "spec.selector" {
		for _, field := range []string{"commonLabels", "labels"} {
			if labels := t.find(field); labels != nil {
				return report.Position{File: named, Line: labels.Line, Column: labels.Column}, true
			}
		}
	}
	for _, field := range []string{"patches", "patchesStrategicMerge", "patchesJson6902"} {
		list := t.find(field)
		if list == nil {
			continue
		}
		for _, item := range slices.Backward(list.Content) {
			if at, ok := d.setByPatch(item, named, path); ok {
				return at, true
			}
		}
	}
	return report.Position{}, false
}

// setByPatch is setBy for one patch of a kustomization: its text, its file, or either with a target.
func (d *Document) setByPatch(item *yaml.Node, named, path string) (report.Position, bool) {
	text, target := item, false
	if item.Kind == yaml.MappingNode {
		text = nil
		if _, to := child(item, "target"); to != nil {
			_, kind := child(to, "kind")
			_, name := child(to, "name")
			if !matches(kind, d.Object.GetObjectKind().GroupVersionKind().Kind) || !matches(name, d.Object.GetName()) {
				return report.Position{}, false
			}
			target = true
		}
		for _, key := range []string{"path", "patch"} {
			if _, value := child(item, key); value != nil {
				text = value
			}
		}
	}
	if text == nil || text.Kind != yaml.ScalarNode {
		return report.Position{}, false
	}
	file, data, first := named, []byte(text.Value), text.Line
	if name := filepath.Join(filepath.Dir(named), text.Value); !strings.Contains(text.Value, "\n") && isFile(name) {
		read, err := os.ReadFile(name)
		if err != nil {
			return report.Position{}, false
		}
		file, data, first = name, read, 0
	}
	for _, c := range split(data) {
		t, err := parse(data[c.start:c.end])
		if err != nil || t == nil {
			continue
		}
		if at := d.inPatch(t, path, target); at != nil {
			p := report.Position{File: file, Line: first + c.line + at.Line - 1, Column: at.Column}
			if first > 0 {
				// The indentation of the text is unknown.
				p.Column = 0
			}
			return p, true
		}
	}
	return report.Position{}, false
}

// matches reports whether a patch's target, a regular expression, may be this. Without a pattern, any is. A name with a prefix must
// match in part.
func matches(pattern *yaml.Node, text string) bool {
	if pattern == nil {
		return true
	}
	re, err := regexp.Compile(pattern.Value)
	return err == nil && re.MatchString(text)
}

// inPatch returns the node of a patch that sets the field, in a list of JSON patch operations or a partial object.
func (d *Document) inPatch(t *tree, path string, target bool) *yaml.Node {
	if t.root.Kind == yaml.SequenceNode {
		for _, operation := range slices.Backward(t.root.Content) {
			if at := inOperation(operation, strings.FieldsFunc(path, separatesSegments)); at != nil {
				return at
			}
		}
		return nil
	}
	if !target && !d.isIn(t) {
		return nil
	}
	return d.like(t, path)
}

// inOperation returns the node of a JSON patch operation that sets the field, or nil.
func inOperation(operation *yaml.Node, segments []string) *yaml.Node {
	_, pointer := child(operation, "path")
	if pointer == nil {
		return nil
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(pointer.Value, "/"), "/") {
		segment = strings.NewReplacer("~1", "/", "~0", "~").Replace(segment)
		if len(segments) == 0 || strings.TrimSuffix(segments[0], "]") != segment {
			return nil
		}
		segments = segments[1:]
	}
	at := operation
	_, value := child(operation, "value")
	for _, segment := range segments {
		if value == nil {
			return nil
		}
		at, value = child(follow(value), segment)
	}
	return at
}

// isIn reports whether a patch or source document is for the same object. An overlay may have added to its name.
func (d *Document) isIn(t *tree) bool {
	name := t.scalar("metadata.name")
	return t.scalar("kind") == d.Object.GetObjectKind().GroupVersionKind().Kind && name != "" && strings.Contains(d.Object.GetName(), name)
}

// like returns the node in the patch or source for the same field, or nil. List items match by name, or else by index.
func (d *Document) like(t *tree, path string) (at *yaml.Node) {
	own, other := d.parsed().find(d.Item), t.root
	for segment := range strings.FieldsFuncSeq(path, separatesSegments) {
		if own != nil {
			_, own = child(follow(own), segment)
		}
		key, next := child(follow(other), segment)
		if name := nameOf(own); name != "" && strings.HasSuffix(segment, "]") {
			key, next = nil, nil
			for _, item := range follow(other).Content {
				if nameOf(item) == name {
					key, next = item, item
				}
			}
		}
		if next == nil {
			return nil
		}
		at, other = key, next
	}
	return at
}

// nameOf returns the name that identifies a list item, or "".
func nameOf(item *yaml.Node) string {
	if item == nil || follow(item).Kind != yaml.MappingNode {
		return ""
	}
	if _, name := child(follow(item), "name"); name != nil {
		return name.Value
	}
	if _, metadata := child(follow(item), "metadata"); metadata != nil {
		return nameOf(metadata)
	}
	return ""
}

// inSource returns the place of the field in the object's source file. If the value differs there, the kustomization sets the
// field.
func (d *Document) inSource(path string) (report.Position, bool) {
	for _, c := range split(d.File.source) {
		t, err := parse(d.File.source[c.start:c.end])
		if err != nil || t == nil || !d.isIn(t) {
			continue
		}
		at := report.Position{File: d.File.Name}
		if node := d.like(t, path); node != nil {
			at.Line, at.Column = c.line+node.Line-1, node.Column
			own, source := d.parsed().find(d.Item+path), t.find(path)
			if own != nil && source != nil && own.Kind == yaml.ScalarNode && source.Kind == yaml.ScalarNode && own.Value != source.Value {
				if _, named, err := readKustomization(d.File.overlay); err == nil {
					return report.Position{File: named, Line: 1, Column: 1}, true
				}
			}
			return at, true
		}
		line, column := t.position(path)
		at.Line, at.Column = c.line+line-1, column
		return at, true
	}
	return report.Position{}, false
}
