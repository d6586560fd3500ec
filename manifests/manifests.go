// Package manifests turns files, charts and kustomizations into objects that know the file, the line and the column that
// each of their fields stands in, and lets the rules judge them as a set.
package manifests

import (
	"bytes"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/report"
)

// Set is what a number of paths held.
type Set struct {
	// Files are those with objects that rules read, in the order of their paths.
	Files []*File
	// Errors are what could not be read. The other documents are in Files all the same.
	Errors []report.Error
	// Objects counts the Kubernetes objects, those too that no rule reads.
	Objects int
	// Empty are the paths that hold no object at all.
	Empty []string

	// all are the files that were read for fixing, those too without objects that rules read.
	all []*File
	// kustomized are the kustomizations that were rendered, and failed the files and folders that could not be read.
	kustomized []string
	failed     map[string]bool
}

// Documents returns the documents of every file, in order.
func (s *Set) Documents() []*Document {
	var all []*Document
	for _, f := range s.Files {
		all = append(all, f.Documents...)
	}
	return all
}

// wholes returns the documents without the StatefulSets that have neither a selector nor a template, and the number of these.
// The API server would refuse them: they are patches, or what a test expects of one.
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

// File is one manifest: as it lies on the disk, or one that a chart or a kustomization was rendered to.
type File struct {
	// Name is the file as it was named on the command line, or below the folder that was; "stdin" for standard input. Of a
	// rendered manifest it is the file that it was rendered from.
	Name string
	// Folder is where the file lies: the files of a folder are one set. Of a rendered manifest it is the chart's or the
	// kustomization's.
	Folder string
	// Data is the whole text.
	Data []byte
	// Rendered means that Data is not what lies on the disk under Name.
	Rendered bool
	// Documents are the file's objects that rules read.
	Documents []*Document

	// fixable means that the file may be written to. See Loader.Sources.
	fixable bool
	// contested numbers the objects of this file that other files have too. See cluster.
	contested []int
	// sparse is the loader's. entire tells to keep the file's text, and to decode what rules read only together with other objects.
	sparse, entire bool
	// template is the path within a chart that the whole file was rendered from.
	template string
	// overlay is the folder of the kustomization that the file was rendered from, and rendering what tells several renderings
	// apart.
	overlay, rendering string
	last               lastParsed
	// chart is where the values come from that a chart was rendered with; nil for other files.
	chart *valuesOf
	// source is what lies on the disk under Name, of a rendered manifest.
	source []byte
}

// Document is one object of a manifest.
type Document struct {
	File *File
	// Object is as the author wrote it: the API server's defaults are not filled in.
	Object kinds.Object
	// Start and End are where the YAML document stands in the file's data. The items of a List share theirs.
	Start, End int
	// Line is the number of the line that Start is in, counted from 1.
	Line int
	// Item is the object's place in a List in the form "items[2].", empty for one that stands alone.
	Item string
	// Template is the path within a chart that Helm's "# Source:" comment names, if there is one.
	Template string

	// silent means that a StatefulSet says nothing about its replicas.
	silent bool
	// unknown are the paths of fields that Kubernetes does not know.
	unknown []string
	tree    *tree
}

// Text is the YAML document that the object is in.
func (d *Document) Text() []byte { return d.File.Data[d.Start:d.End] }

// chartNamespace is the namespace that a chart is rendered for unless told otherwise, of a document that comes from one.
func (d *Document) chartNamespace() string {
	if d.Template != "" {
		return metav1.NamespaceDefault
	}
	return ""
}

// chunk is one document's place in a file.
type chunk struct {
	start, end, line int
}

// split finds the documents of a file. What stands before the first separator, such as a comment, belongs to the document
// after it; a separator belongs to the document that it begins.
func split(data []byte) []chunk {
	var chunks []chunk
	now := chunk{line: 1}
	// marked means that the document has its separator, filled that it has more than comments and directives.
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

// separates reports whether the line is the marker, which may have more after it.
func separates(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// templateOf returns what the document was rendered from, by what is known of the file or by Helm's comment before it.
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
