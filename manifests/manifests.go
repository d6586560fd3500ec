// Package manifests reads files, charts and kustomizations into objects that know the file, line and column of each field, and
// judges them as a set.
package manifests

import (
	"bytes"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/report"
)

// Set is the content of several paths.
type Set struct {
	// Files are the files with objects that rules read, in the order of their paths.
	Files []*File
	// Errors are what could not be read. Files has the other documents.
	Errors []report.Error
	// Objects counts all Kubernetes objects, including those that no rule reads.
	Objects int
	// Empty are the paths without objects.
	Empty []string

	// all are the files that were read for fixing, including those without objects that rules read.
	all []*File
	// kustomized are the rendered kustomizations, failed the files and folders that could not be read.
	kustomized []string
	failed     map[string]bool
}

// Documents returns the documents of all files, in order.
func (s *Set) Documents() []*Document {
	var all []*Document
	for _, f := range s.Files {
		all = append(all, f.Documents...)
	}
	return all
}

// wholes returns the documents without StatefulSets that have neither selector nor template, and the number of those. They are
// patches, or a test's expectations.
func (s *Set) wholes() (documents []*Document, partial int) {
	for _, d := range s.Documents() {
		set, ok := d.Object.(*appsv1.StatefulSet)
		if ok && set.Spec.Selector == nil && len(set.Spec.Template.Spec.Containers) == 0 && len(set.Spec.Template.Labels) == 0 {
			partial++
			continue
		}
		documents = append(documents, d)
	}
	return documents, partial
}

// File is a manifest: a file on disk, or one rendered from a chart or a kustomization.
type File struct {
	// Name is the path as named on the command line, or below a named folder; "stdin" for standard input. For a rendered manifest
	// it is the file that it was rendered from.
	Name string
	// Folder is the folder of the file. The files of a folder are a set. For a rendered manifest it is the folder of the chart or
	// the kustomization.
	Folder string
	// Data is the whole text.
	Data []byte
	// Rendered means that Data is not the file on disk.
	Rendered bool
	// Documents are the file's objects that rules read.
	Documents []*Document

	// fixable means that the file can be written. See Loader.Sources.
	fixable bool
	// contested numbers the objects of this file that other files also have. See cluster.
	contested []int
	// sparse is the loader's. entire keeps the file's text, and decodes objects that rules read only together with others.
	sparse, entire bool
	// template is the path in the chart that the whole file was rendered from.
	template string
	// overlay is the folder of the kustomization that the file was rendered from. rendering distinguishes several renderings.
	overlay, rendering string
	last               lastParsed
	// chart has the sources of the values that a chart was rendered with; nil for other files.
	chart *valuesOf
	// source is the content of the file on disk, for a rendered manifest.
	source []byte
}

// Document is an object of a manifest.
type Document struct {
	File *File
	// Object is the object as written, without the API server's defaults.
	Object kinds.Object
	// Start and End are the place of the YAML document in the file's data. The items of a List share theirs.
	Start, End int
	// Line is the line number of Start, from 1.
	Line int
	// Item is the object's place in a List, such as "items[2].", or "".
	Item string
	// Template is the path in the chart from Helm's "# Source:" comment, if any.
	Template string

	// silent means that a StatefulSet has no replicas field.
	silent bool
	// unknown are the paths of fields that Kubernetes does not know.
	unknown []string
	tree    *tree
}

// Text returns the YAML document of the object.
func (d *Document) Text() []byte { return d.File.Data[d.Start:d.End] }

// chartNamespace returns the default namespace of the chart that the document comes from, if any.
func (d *Document) chartNamespace() string {
	if d.Template != "" {
		return metav1.NamespaceDefault
	}
	return ""
}

// chunk is the place of a document in a file.
type chunk struct {
	start, end, line int
}

// split finds the documents of a file. Text before the first separator, such as a comment, belongs to the document after it; a
// separator belongs to the document that it begins.
func split(data []byte) []chunk {
	var chunks []chunk
	now := chunk{line: 1}
	// marked means that the document has its separator; filled, that it has more than comments and directives.
	marked, filled := false, false
	line := 0
	for start := 0; start < len(data); line++ {
		end := len(data)
		if i := bytes.IndexByte(data[start:], '\n'); i >= 0 {
			end = start + i + 1
		}
		text := data[start:end]
		switch {
		case separates(text, "---"):
			if marked || filled {
				now.end = start
				chunks = append(chunks, now)
				now = chunk{start: start, line: line + 1}
			}
			marked, filled = true, false
		case separates(text, "..."):
			now.end = start
			chunks = append(chunks, now)
			now = chunk{start: end, line: line + 2}
			marked, filled = false, false
		case !filled:
			trimmed := bytes.TrimSpace(text)
			filled = len(trimmed) > 0 && trimmed[0] != '#' && (trimmed[0] != '%' || marked)
		}
		start = end
	}
	now.end = len(data)
	return append(chunks, now)
}

// separates reports whether the line is the marker, which may be followed by other text.
func separates(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// templateOf returns what the document was rendered from, known for the file or from Helm's comment.
func (f *File) templateOf(text []byte) string {
	if f.template != "" {
		return f.template
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if source, ok := bytes.CutPrefix(line, []byte("# Source: ")); ok {
			return string(source)
		}
		if len(line) > 0 && line[0] != '#' && !separates(line, "---") {
			break
		}
	}
	return ""
}
