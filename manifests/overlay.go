package manifests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/mooring-dev/mooring/report"
)

// patchedIn returns the place of the patch, or of another field of a kustomization, that sets the field at the path in the
// document, which the kustomization in the folder was rendered to. The outermost one counts, which is applied last.
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

// setBy returns the place in a kustomization, or in a patch that it names, that sets the field.
func (d *Document) setBy(t *tree, named, path string) (report.Position, bool) {
	if replicas := t.find("replicas"); path == "spec.replicas" && replicas != nil {
		for _, r := range replicas.Content {
			if _, name := child(r, "name"); name != nil && strings.Contains(d.Object.GetName(), name.Value) {
				return report.Position{File: named, Line: r.Line, Column: r.Column}, true
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

// setByPatch is setBy of one patch of a kustomization: its text, the file that has it, or either with a target.
func (d *Document) setByPatch(item *yaml.Node, named, path string) (report.Position, bool) {
	text, target := item, false
	if item.Kind == yaml.MappingNode {
		text = nil
		if _, to := child(item, "target"); to != nil {
			_, kind := child(to, "kind")
			_, name := child(to, "name")
			if kind != nil && kind.Value != d.Object.GetObjectKind().GroupVersionKind().Kind || name != nil && !strings.Contains(d.Object.GetName(), name.Value) {
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
				// The text is indented by what nobody counts.
				p.Column = 0
			}
			return p, true
		}
	}
	return report.Position{}, false
}

// inPatch returns the node of a patch that sets the field: of a list of JSON patch operations, or of part of an object.
func (d *Document) inPatch(t *tree, path string, target bool) *yaml.Node {
	if t.root.Kind == yaml.SequenceNode {
		for _, operation := range slices.Backward(t.root.Content) {
			_, pointer := child(operation, "path")
			if pointer != nil && strings.TrimPrefix(pointer.Value, "/") == strings.ReplaceAll(path, ".", "/") {
				return operation
			}
		}
		return nil
	}
	kind, name := t.scalar("kind"), t.scalar("metadata.name")
	if !target && (kind != d.Object.GetObjectKind().GroupVersionKind().Kind || name == "" || !strings.Contains(d.Object.GetName(), name)) {
		return nil
	}
	// The items of a list are merged by their names, so that their numbers say nothing here.
	if at, _, rest := t.walk(path); !rest && !strings.Contains(path, "[") {
		return at
	}
	return nil
}
