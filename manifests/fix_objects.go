package manifests

import (
	"bytes"

	"go.yaml.in/yaml/v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// documentOf returns an object in the style of the document before it, with a namespace only if that has one.
func documentOf(o kinds.Object, after *Document) ([]byte, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	delete(fields, "status")
	unstructured.RemoveNestedField(fields, "metadata", "creationTimestamp")
	if !after.Has("metadata.namespace") {
		unstructured.RemoveNestedField(fields, "metadata", "namespace")
	}
	if ports, ok, _ := unstructured.NestedSlice(fields, "spec", "ports"); ok {
		// A missing targetPort equals the port; the type writes a zero.
		for _, port := range ports {
			delete(port.(map[string]any), "targetPort")
		}
		fields["spec"].(map[string]any)["ports"] = ports
	}
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(indentOf(after.parsed().root))
	if compact(after.parsed().root, nil) {
		e.CompactSeqIndent()
	}
	if err := e.Encode(fields); err != nil {
		return nil, err
	}
	return text.Bytes(), e.Close()
}

// indentOf returns how many spaces a document's mappings are indented by, from the first one below the root.
func indentOf(root *yaml.Node) int {
	for i := 1; i < len(root.Content); i += 2 {
		n := root.Content[i]
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 && n.Content[0].Column > 2 {
			return n.Content[0].Column - 1
		}
	}
	return 2
}

// compact reports whether lists below a node start in the column of their keys. The first list decides.
func compact(n, key *yaml.Node) bool {
	if n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle == 0 && key != nil {
		return n.Column == key.Column
	}
	for i, c := range n.Content {
		key = nil
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			key = n.Content[i-1]
		}
		if compact(c, key) {
			return true
		}
	}
	return false
}
