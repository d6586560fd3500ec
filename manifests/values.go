package manifests

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/mooring-dev/mooring/report"
)

// valuesOf has the sources of a chart's values.
type valuesOf struct {
	folder  string
	release Release
}

// reference matches a value in a template.
var reference = regexp.MustCompile(`\.Values((?:\.[A-Za-z_][-\w]*)+)`)

// inValues returns the place in a values file that sets the field of a chart's object, if its line in the template, or that of a
// parent, has one value.
func (d *Document) inValues(field string) (report.Position, bool) {
	if !d.Has(field) {
		return report.Position{}, false
	}
	template := bytes.Split(d.File.source, []byte("\n"))
	below := ""
	for {
		line, _ := d.place(field)
		at, _ := d.File.origin(line)
		if named := referredTo(template, at); named != "" {
			return d.valueAt(named + below)
		}
		i := strings.LastIndexAny(field, ".[")
		if i < 0 {
			return report.Position{}, false
		}
		field, below = field[:i], field[i:]+below
	}
}

// referredTo returns the value in a line of a template, or in the next line if it ends with its key.
func referredTo(template [][]byte, line int) string {
	if line < 2 || line > len(template) {
		// The line cannot be determined.
		return ""
	}
	text := template[line-1]
	if bytes.HasSuffix(bytes.TrimSpace(text), []byte(":")) && line < len(template) {
		text = template[line]
	}
	all := reference.FindAllSubmatch(text, -1)
	if len(all) != 1 {
		return ""
	}
	return string(all[0][1][1:])
}

// valueAt returns the place in a values file that sets the value: those of the release, the last first, then the chart's own.
// Values from the command line have no place.
func (d *Document) valueAt(value string) (report.Position, bool) {
	subchart, prefix := d.File.chart.folder, ""
	parts := strings.Split(d.Template, "/")
	for i := 1; i+1 < len(parts) && parts[i] == "charts"; i += 2 {
		subchart = filepath.Join(subchart, "charts", parts[i+1])
		prefix += parts[i+1] + "."
	}
	inParent := prefix + value
	if strings.HasPrefix(value, "global.") {
		inParent = value
	}
	assigned := func(assignment string) bool {
		name, _, _ := strings.Cut(assignment, "=")
		return name == inParent || strings.HasPrefix(inParent, name+".")
	}
	if slices.ContainsFunc(d.File.chart.release.Values, assigned) {
		return report.Position{}, false
	}
	for _, name := range slices.Backward(d.File.chart.release.ValueFiles) {
		if at, ok := fieldOf(name, inParent); ok {
			return at, true
		}
	}
	if at, ok := fieldOf(filepath.Join(d.File.chart.folder, "values.yaml"), inParent); ok || prefix == "" {
		return at, ok
	}
	return fieldOf(filepath.Join(subchart, "values.yaml"), value)
}

// fieldOf returns the place of a field in a file.
func fieldOf(name, field string) (report.Position, bool) {
	data, err := os.ReadFile(name)
	if err != nil {
		return report.Position{}, false
	}
	t, err := parse(data)
	if err != nil || t == nil {
		return report.Position{}, false
	}
	at, _, rest := t.walk(field)
	return report.Position{File: name, Line: at.Line, Column: at.Column}, !rest
}
