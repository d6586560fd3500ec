package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Outputs is the value of the repeatable flag -o: FORMAT writes to standard output, FORMAT=FILE to a file. The default is the first
// format on standard output.
type Outputs[R any] struct {
	Formats []Format[R]
	to      []output[R]
}

type output[R any] struct {
	format Format[R]
	// file is empty for standard output.
	file string
}

// Set adds an output.
func (o *Outputs[R]) Set(value string) error {
	name, file, toFile := strings.Cut(value, "=")
	format, err := o.find(name)
	if err != nil {
		return err
	}
	if toFile && file == "" {
		return fmt.Errorf("%q has no file name. Fix: write %s=FILE, or %s for the standard output", value, name, name)
	}
	for _, other := range o.to {
		switch {
		case other.file != filepath.Clean(file) && (toFile || other.file != ""):
		case toFile:
			return fmt.Errorf("%s and %s would both be written to %s", other.format.Name, name, file)
		default:
			return fmt.Errorf("%s and %s would both be written to the standard output. Fix: write one of them to a file: %s=FILE", other.format.Name, name, name)
		}
	}
	if toFile {
		file = filepath.Clean(file)
	}
	o.to = append(o.to, output[R]{format, file})
	return nil
}

// find returns the format with this name, or an error that lists the names.
func (o *Outputs[R]) find(name string) (Format[R], error) {
	for _, f := range o.Formats {
		if f.Name == name {
			return f, nil
		}
	}
	return Format[R]{}, fmt.Errorf("unknown output format %q. Fix: use %s", name, strings.Join(o.names(), ", "))
}

func (o *Outputs[R]) names() []string {
	var names []string
	for _, f := range o.Formats {
		names = append(names, f.Name)
	}
	return names
}

// String returns the flag's value.
func (o *Outputs[R]) String() string {
	var all []string
	for _, out := range o.to {
		s := out.format.Name
		if out.file != "" {
			s += "=" + out.file
		}
		all = append(all, s)
	}
	return strings.Join(all, ",")
}

// Type is the placeholder of the value in the help.
func (o *Outputs[R]) Type() string { return "FORMAT[=FILE]" }

// Usage is the flag's help.
func (o *Outputs[R]) Usage() string {
	return fmt.Sprintf("write the report as %s; =FILE writes to a file; may be repeated (default %s)", strings.Join(o.names(), ", "), o.Formats[0].Name)
}

// Complete returns the formats for shell completion: a value, a tab and a description.
func (o *Outputs[R]) Complete() []string {
	var all []string
	for _, f := range o.Formats {
		all = append(all, f.Name+"\t"+f.Doc)
	}
	return all
}

// Write writes the report to every output. A failed output does not prevent the others.
func (o *Outputs[R]) Write(r R, stdout io.Writer) error {
	to := o.to
	if len(to) == 0 {
		to = []output[R]{{format: o.Formats[0]}}
	}
	var failed []error
	for _, out := range to {
		if err := out.write(r, stdout); err != nil {
			failed = append(failed, fmt.Errorf("writing the report as %s: %w", out.format.Name, err))
		}
	}
	return errors.Join(failed...)
}

func (o output[R]) write(r R, stdout io.Writer) error {
	if o.file == "" {
		return o.format.Write(stdout, r)
	}
	file, err := os.Create(o.file)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(file)
	return errors.Join(o.format.Write(buffered, r), buffered.Flush(), file.Close())
}
