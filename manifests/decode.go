package manifests

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
	"sigs.k8s.io/json"

	"github.com/mooring-dev/mooring/policies/crd"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

// decode finds the file's documents and decodes those that rules read. It returns the number of Kubernetes objects, and what could
// not be read.
func (f *File) decode() (objects int, errs []report.Error) {
	for _, c := range f.chunks() {
		d := decoder{File: f, chunk: c, text: f.Data[c.start:c.end]}
		d.document()
		f.Documents = append(f.Documents, d.documents...)
		objects += d.objects
		errs = append(errs, d.errs...)
	}
	return objects, errs
}

// chunks returns the file's documents, from YAML or a stream of JSON objects.
func (f *File) chunks() []chunk {
	if trimmed := bytes.TrimSpace(f.Data); len(trimmed) == 0 || trimmed[0] != '{' {
		return split(f.Data)
	}
	var chunks []chunk
	stream := stdjson.NewDecoder(bytes.NewReader(f.Data))
	for at, line := 0, 1; stream.More(); {
		var raw stdjson.RawMessage
		if stream.Decode(&raw) != nil {
			// It is YAML in flow style, or invalid, which the YAML parser explains better.
			return split(f.Data)
		}
		end := int(stream.InputOffset())
		start := end - len(raw)
		line += bytes.Count(f.Data[at:start], []byte("\n"))
		chunks = append(chunks, chunk{start, end, line})
		line += bytes.Count(raw, []byte("\n"))
		at = end
	}
	return chunks
}

// decoder decodes a document.
type decoder struct {
	*File
	chunk
	text      []byte
	documents []*Document
	objects   int
	errs      []report.Error
}

func (d *decoder) fail(line, column int, format string, args ...any) {
	d.errs = append(d.errs, report.Error{
		Position: d.at(line, column, d.templateOf(d.text)),
		Message:  fmt.Sprintf(format, args...),
	})
}

func (d *decoder) document() {
	name, sure := sniff(d.text)
	switch {
	case sure && !d.worthDecoding(name) && (known[name].new != nil || almost(name) == ""):
		d.objects++
		return
	case !sure && !bytes.Contains(d.text, []byte("kind")):
		// It is no Kubernetes object.
		return
	}
	t, err := d.parse(name)
	if err != nil {
		line, message := place(err)
		// For a text that ends too early, the parser names the line after the last.
		line = min(max(line, 1), 1+bytes.Count(d.text, []byte("\n")))
		d.fail(d.line+line-1, 0, "%s", message)
		return
	}
	if t == nil {
		return
	}
	if t.root.Kind != yaml.MappingNode || t.scalar("kind") == "" {
		if sure {
			d.fail(d.line, 0, "the document has a line that begins with kind:, but it is not an object")
		}
		return
	}
	d.object(t, "")
}

// parse parses the document, or the part that rules read.
func (d *decoder) parse(kind string) (*tree, error) {
	if d.sparse && (kind == "StatefulSet" || kind == "Deployment") {
		if t, err := parse(sparse(d.text)); err == nil {
			return t, nil
		}
	}
	return parse(d.text)
}

// object decodes the object at the path, or the objects of a List.
func (d *decoder) object(t *tree, item string) {
	name, apiVersion := t.scalar(item+"kind"), t.scalar(item+"apiVersion")
	line, column := t.position(item)
	line += d.line - 1
	if apiVersion == "" && (item != "" || known[name].new != nil || isList(name)) {
		d.fail(line, column, "the %s has no apiVersion", name)
		return
	}
	if isList(name) && t.find(item+"items") != nil && t.find(item+"items").Kind == yaml.SequenceNode {
		for i := range t.find(item + "items").Content {
			d.item(t, fmt.Sprintf("%sitems[%d].", item, i), strings.TrimSuffix(name, "List"), apiVersion)
		}
		return
	}
	d.objects++
	d.known(t, item, name, apiVersion)
}

// known decodes an object if rules read its kind.
func (d *decoder) known(t *tree, item, name, apiVersion string) {
	if meant := nearMiss(apiVersion, name); meant != "" {
		line, column := t.position(item + "kind")
		d.fail(d.line+line-1, column, "%s", meant)
		return
	}
	if k, ok := lookUp(apiVersion, name); ok {
		d.typed(t, item, k, name, apiVersion)
	}
}

// item decodes an item of a List, which has the kind of the list if it names none.
func (d *decoder) item(t *tree, item, name, apiVersion string) {
	switch node := t.find(item); {
	case node == nil || node.Kind != yaml.MappingNode:
		line, column := t.position(item)
		d.fail(d.line+line-1, column, "%s is not an object", strings.TrimSuffix(item, "."))
	case t.scalar(item+"kind") != "":
		d.object(t, item)
	case name != "":
		d.objects++
		d.known(t, item, name, apiVersion)
	default:
		line, column := t.position(item)
		d.fail(d.line+line-1, column, "%s has no kind", strings.TrimSuffix(item, "."))
	}
}

// typed decodes an object of a kind that rules read.
func (d *decoder) typed(t *tree, item string, k kind, name, apiVersion string) {
	o := k.new()
	unknown, path, err := t.into(item, o)
	if err == nil {
		if o, err = kinds.Judged(o); err != nil {
			path = pathIn(err)
		}
	}
	if err == nil && o.GetName() == "" {
		path, err = "metadata.name", errors.New("there is no metadata.name")
	}
	if err != nil {
		line, column := t.position(item + path)
		d.fail(d.line+line-1, column, "the %s cannot be read: %v", name, err)
		return
	}
	// Every version is decoded into the one that the rules use.
	o.GetObjectKind().SetGroupVersionKind(gvkOf(o, apiVersion, name))
	if k.clusterScoped {
		o.SetNamespace("")
	}
	if o.GetObjectKind().GroupVersionKind().GroupVersion().String() != apiVersion {
		// Another version of the kind may have these fields.
		unknown = nil
	}
	d.documents = append(d.documents, &Document{
		File: d.File, Object: o, Start: d.start, End: d.end, Line: d.line, Item: item, Template: d.templateOf(d.text),
		unknown: slices.DeleteFunc(unknown, skipped),
	})
}

// skipped reports whether the field is below one that may have been skipped. See sparse.
func skipped(path string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(path, separatesSegments), unread.Has)
}

// into decodes the value at the path into the object, and returns the fields that its kind does not have. On failure, it returns
// the path of the field.
func (t *tree) into(item string, o kinds.Object) (unknown []string, path string, err error) {
	text, err := appendJSON(nil, t.find(item), 0)
	if err != nil {
		return nil, "", err
	}
	if unknown, err = kinds.Decode(text, o); err != nil {
		path = pathIn(err)
	}
	if _, ok := o.(*v1alpha1.StatefulPolicy); !ok {
		return unknown, path, err
	}
	if len(unknown) > 0 {
		// Ignoring it would guard nothing.
		return nil, unknown[0], fmt.Errorf("unknown field %q", unknown[0])
	}
	if err != nil && path == "" {
		// For an invalid quantity or duration the type's decoder does not name the field. The API server's schema does.
		object := map[string]any{}
		if json.UnmarshalCaseSensitivePreserveInts(text, &object) != nil {
			return nil, "", err
		}
		if refused, unreadable := crd.Validate(object); unreadable == nil && len(refused) > 0 {
			return nil, refused[0].Field, refused[0]
		}
	}
	return nil, path, err
}

// pathIn returns the path of the field in a decoder's error, if any.
func pathIn(err error) string {
	var mistyped *stdjson.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return mistyped.Field
	}
	var unknown json.FieldError
	if errors.As(err, &unknown) {
		return unknown.FieldPath()
	}
	return ""
}

// place returns the line of a YAML parser's error, 0 if it has none, and its message.
func place(err error) (line int, message string) {
	var broken *yaml.LoadError
	if errors.As(err, &broken) {
		return broken.Mark.Line, broken.Message
	}
	return 0, err.Error()
}

// The limits of a document once its aliases are resolved. No valid object comes close.
const (
	maxDepth = 200
	maxJSON  = 16 << 20
)

// appendJSON writes the node as JSON, the way kubectl reads YAML: the last of duplicate keys wins, and yes and no are booleans.
func appendJSON(b []byte, n *yaml.Node, depth int) ([]byte, error) {
	if depth > maxDepth || len(b) > maxJSON {
		return nil, errors.New("it is nested too deeply, or its aliases refer to each other")
	}
	var err error
	switch {
	case n == nil:
		return append(b, "null"...), nil
	case n.Kind == yaml.AliasNode:
		return appendJSON(b, n.Alias, depth+1)
	case n.Kind == yaml.MappingNode:
		b = append(b, '{')
		first := len(b)
		for key, value := range fields(n, depth) {
			if len(b) > first {
				b = append(b, ',')
			}
			b = append(appendString(b, key), ':')
			if b, err = appendJSON(b, value, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case n.Kind == yaml.SequenceNode:
		b = append(b, '[')
		for i, value := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, value, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	return appendScalar(b, n), nil
}

// oldBooleans are the booleans of YAML 1.1, which Kubernetes reads.
var oldBooleans = map[string]string{
	"y": "true", "Y": "true", "yes": "true", "Yes": "true", "YES": "true", "on": "true", "On": "true", "ON": "true",
	"n": "false", "N": "false", "no": "false", "No": "false", "NO": "false", "off": "false", "Off": "false", "OFF": "false",
}

func appendScalar(b []byte, n *yaml.Node) []byte {
	switch n.ShortTag() {
	case "!!null":
		return append(b, "null"...)
	case "!!bool":
		return append(b, strings.ToLower(n.Value)...)
	case "!!int", "!!float":
		var number any
		if err := n.Decode(&number); err == nil {
			if text, err := stdjson.Marshal(number); err == nil {
				return append(b, text...)
			}
		}
	case "!!str":
		if old := oldBooleans[n.Value]; old != "" && n.Style == 0 {
			return append(b, old...)
		}
	}
	return appendString(b, n.Value)
}

func appendString(b []byte, s string) []byte {
	plain := !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	text, _ := stdjson.Marshal(s) // No string fails.
	return append(b, text...)
}

// fields yields a mapping's keys and values, including merged ones.
func fields(n *yaml.Node, depth int) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		last := lastKeys(n)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i]; key.Tag != mergeTag && last(i) && !yield(key.Value, n.Content[i+1]) {
				return
			}
		}
		from := merges(n)
		if len(from) == 0 || depth > maxDepth {
			return
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			seen[n.Content[i].Value] = true
		}
		for _, merged := range from {
			for key, value := range fields(merged, depth+1) {
				if seen[key] {
					continue
				}
				seen[key] = true
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// lastKeys returns a function that reports whether the key at an index is the last with its name. Most mappings are so small that a
// search is faster than a map.
func lastKeys(n *yaml.Node) func(i int) bool {
	const small = 64
	if len(n.Content) <= small {
		return func(i int) bool {
			for j := i + 2; j < len(n.Content); j += 2 {
				if n.Content[j].Value == n.Content[i].Value {
					return false
				}
			}
			return true
		}
	}
	at := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		at[n.Content[i].Value] = i
	}
	return func(i int) bool { return at[n.Content[i].Value] == i }
}

const mergeTag = "!!merge"

// merges returns the mappings that a mapping merges with its << key.
func merges(n *yaml.Node) []*yaml.Node {
	var found []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != mergeTag {
			continue
		}
		from := []*yaml.Node{n.Content[i+1]}
		if list := follow(from[0]); list.Kind == yaml.SequenceNode {
			from = list.Content
		}
		for _, node := range from {
			if node = follow(node); node.Kind == yaml.MappingNode {
				found = append(found, node)
			}
		}
	}
	return found
}

// follow returns the target of an alias, and any other node unchanged.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
