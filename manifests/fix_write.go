package manifests

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// Diff returns the change as a unified diff, for patch and git apply.
func (f FixedFile) Diff() string {
	name := filepath.ToSlash(f.Name)
	// A strings.Builder never fails.
	text, _ := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: linesOf(f.Before), B: linesOf(f.After), FromFile: "a/" + name, ToFile: "b/" + name, Context: 3,
	})
	return text
}

// linesOf returns the lines with their newlines; a last line without one says so, as in diffs.
func linesOf(text []byte) []string {
	var lines []string
	for line := range bytes.Lines(text) {
		lines = append(lines, string(line))
	}
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		lines[n-1] += "\n\\ No newline at end of file\n"
	}
	return lines
}

// Write writes the file atomically and keeps its mode. It writes to the target of a symbolic link.
func (f FixedFile) Write() error {
	name, err := filepath.EvalSymlinks(f.Name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(f.After)
	if err == nil {
		err = temporary.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = temporary.Sync()
	}
	if err2 := temporary.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
