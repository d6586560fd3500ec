package manifests

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gobwas/glob"

	"github.com/mooring-dev/mooring/report"
)

// walk collects the files to read and the folders to render.
type walk struct {
	Loader
	files          []*File
	kustomizations []kustomized
	jobs           []*job
	// seen are the files found for each file or folder to render, by name.
	seen  map[string]*seen
	named []*named
	errs  []report.Error
	// kustomized are the rendered kustomizations, failed the folders that cannot be rendered, unread the files that cannot be read.
	kustomized, failed, unread []string
}

// named is a path of the command line with what was found there.
type named struct {
	path  string
	files []*File
	// judged means that the path has something, even if no file of its own: an error, or a part of another path.
	judged bool
}

type seen struct {
	files []*File
	// by are the paths that the files count for, once known.
	by []*named
}

// job is a folder to render, by its main file.
type job struct {
	folder, file string
	render       Renderer
	seen         *seen
	// variant distinguishes several renderings of a folder.
	variant string
	// kustomized means that the folder is a kustomization. values has the sources of a chart's values.
	kustomized bool
	values     *valuesOf
	rendered   []Rendered
	err        error
}

func newWalk(l Loader) *walk { return &walk{Loader: l, seen: map[string]*seen{}} }

func (w *walk) fail(name string, err error) {
	w.errs, w.unread = append(w.errs, unreadable(name, err)), append(w.unread, name)
	if len(w.named) > 0 {
		w.now().judged = true
	}
}

// now returns the current path.
func (w *walk) now() *named { return w.named[len(w.named)-1] }

// path adds an argument.
func (w *walk) path(path string) {
	w.named = append(w.named, &named{path: path})
	if path == Stdin {
		data, err := io.ReadAll(w.Stdin)
		if err != nil {
			w.fail("stdin", err)
			return
		}
		w.add(&File{Name: "stdin", Folder: "stdin", Data: append([]byte{}, data...)})
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		w.fail(path, err)
	case info.IsDir():
		w.folder(path)
	case isChart(path):
		w.chart(filepath.Dir(path))
	case IsKustomization(path):
		w.kustomization(filepath.Dir(path))
	case templateOf(path) != "":
		w.fail(path, fmt.Errorf("it is a template of the chart %[1]s. Fix: mooring check %[1]s", templateOf(path)))
	default:
		w.file(path)
	}
}

// templateOf returns the chart whose template the file is, or "".
func templateOf(path string) string {
	for folder := filepath.Dir(path); ; folder = filepath.Dir(folder) {
		if chart := filepath.Dir(folder); filepath.Base(folder) == "templates" && isFile(filepath.Join(chart, "Chart.yaml")) {
			return chart
		}
		if folder == filepath.Dir(folder) {
			return ""
		}
	}
}

func (w *walk) add(f *File) {
	w.files = append(w.files, f)
	w.now().files = append(w.now().files, f)
}

// once reports whether the file is new. If it is not, it also counts for the current path.
func (w *walk) once(path string) (*seen, bool) {
	s, ok := w.seen[path]
	if !ok {
		s = &seen{}
		w.seen[path] = s
	}
	s.by = append(s.by, w.now())
	w.now().files = append(w.now().files, s.files...)
	return s, !ok
}

func (w *walk) file(path string) {
	path = filepath.Clean(path)
	s, first := w.once(path)
	if !first {
		return
	}
	f := &File{Name: path, Folder: filepath.Dir(path)}
	s.files = []*File{f}
	w.add(f)
}

// folder adds everything below the folder: charts, kustomizations and other manifests. The files that a kustomization names belong
// to it; other files beside it are read by themselves.
func (w *walk) folder(root string) {
	names := w.below(root)
	charts, kustomizations, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, name := range names {
		if isChart(name) {
			charts[filepath.Dir(name)] = true
		}
	}
	for _, name := range names {
		if folder := filepath.Dir(name); IsKustomization(name) && !within(folder, charts) {
			kustomizations[folder] = true
			for _, path := range filesNamed(name) {
				used[filepath.Join(folder, path)] = true
			}
		}
	}
	for _, name := range names {
		folder := filepath.Dir(name)
		switch {
		case charts[folder] && isChart(name) && !below(folder, charts):
			w.chart(folder)
		case kustomizations[folder] && IsKustomization(name):
			w.kustomization(folder)
		case !within(folder, charts) && !used[name] && isManifest(name):
			w.file(name)
		}
	}
}

// within reports whether the folder, or a parent of it, is in the set.
func within(folder string, these map[string]bool) bool {
	return these[folder] || below(folder, these)
}

// below reports whether a parent of the folder is in the set.
func below(folder string, these map[string]bool) bool {
	for parent := filepath.Dir(folder); parent != folder; folder, parent = parent, filepath.Dir(parent) {
		if these[parent] {
			return true
		}
	}
	return false
}

func isChart(name string) bool { return filepath.Base(name) == "Chart.yaml" }

// IsKustomization reports whether a file with this name makes its folder a kustomization.
func IsKustomization(name string) bool {
	return slices.Contains(kustomizationNames, filepath.Base(name))
}

var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

func isManifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name)))
}

// below returns the files below the folder, in order. It skips what git ignores, unless everything is ignored: then the folder was
// named on purpose.
func (w *walk) below(root string) []string {
	if skip := ignored(root); len(skip) > 0 {
		names, errs := w.list(root, skip)
		if slices.ContainsFunc(names, isManifest) || slices.ContainsFunc(names, IsKustomization) {
			w.failAll(errs)
			return names
		}
	}
	names, errs := w.list(root, nil)
	w.failAll(errs)
	return names
}

func (w *walk) failAll(errs map[string]error) {
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		w.fail(name, errs[name])
	}
}

// list returns the files below the folder that are neither skipped nor excluded, and what cannot be listed.
func (w *walk) list(root string, skip map[string]bool) ([]string, map[string]error) {
	var names []string
	errs := map[string]error{}
	// Of a link it is the target folder.
	_ = filepath.WalkDir(root+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		path = filepath.Clean(path)
		switch {
		case err != nil:
			errs[path] = err
			if entry != nil && entry.IsDir() {
				return filepath.SkipDir
			}
		case path == filepath.Clean(root):
		case entry.Name() == ".git" || skip[path] || w.excluded(root, path):
			if entry.IsDir() {
				return filepath.SkipDir
			}
		case !entry.IsDir() && isFile(path):
			names = append(names, path)
		case entry.Type()&fs.ModeSymlink != 0 && !exists(path) && isManifest(path):
			errs[path] = errors.New("it is a broken link")
		}
		return nil
	})
	return names, errs
}

// excluded reports whether the name of the path, or its path from the root, is excluded.
func (w *walk) excluded(root, path string) bool {
	called := path
	if w.alias != nil {
		called = w.alias(path)
	}
	inRoot, err := filepath.Rel(root, path)
	return slices.ContainsFunc(w.Exclude, func(g glob.Glob) bool {
		return g.Match(filepath.ToSlash(called)) || g.Match(filepath.Base(path)) || err == nil && g.Match(filepath.ToSlash(inRoot))
	})
}

// ignored returns the files and folders below the folder that git ignores. There are none outside a repository, or if the folder
// itself is ignored.
func ignored(root string) map[string]bool {
	if !inRepository(root) {
		return nil
	}
	list, err := exec.Command("git", "-C", root, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", ".").Output()
	if err != nil {
		// This is git's answer in a folder below an ignored one.
		return nil
	}
	found := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if filepath.Clean(name) == "." {
			return nil
		}
		found[filepath.Join(root, name)] = true
	}
	return found
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// inRepository reports whether the folder, or a parent of it, is a git work tree.
func inRepository(folder string) bool {
	folder, err := filepath.Abs(folder)
	for err == nil {
		if _, err := os.Stat(filepath.Join(folder, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return false
		}
		folder = parent
	}
	return false
}

// chart adds the chart, with the values of the release or with each values file that comes with it.
func (w *walk) chart(folder string) {
	file := filepath.Join(folder, "Chart.yaml")
	s, first := w.once(file)
	if !first {
		return
	}
	values := []string{""}
	if w.ValuesGlob != "" && len(w.Release.ValueFiles) == 0 && len(w.Release.Values) == 0 {
		found, err := filepath.Glob(filepath.Join(escaped(folder), w.ValuesGlob))
		if err != nil {
			w.fail(file, fmt.Errorf("the glob of values %q: %w", w.ValuesGlob, err))
		} else if len(found) > 0 {
			values = found
		}
	}
	for _, name := range values {
		release, variant := w.Release, ""
		if name != "" {
			release.ValueFiles = []string{name}
			if rel, err := filepath.Rel(folder, name); err == nil {
				variant = " with " + filepath.ToSlash(rel)
			}
		}
		var render Renderer
		if w.Chart != nil {
			render = func(folder string) ([]Rendered, error) { return w.Chart(release, folder) }
		}
		w.jobs = append(w.jobs, &job{
			folder: folder, file: file, render: render, seen: s, variant: variant, values: &valuesOf{folder, release},
		})
	}
}

// escaped returns a glob that matches only the path.
func escaped(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}

// render renders the folders concurrently, and adds the results.
func (w *walk) render() {
	var done atomic.Int64
	parallel(len(w.jobs), func(i int) {
		w.jobs[i].run()
		if w.Progress != nil {
			w.Progress(int(done.Add(1)), len(w.jobs), "folders rendered")
		}
	})
	for _, j := range w.jobs {
		if j.err != nil {
			at := report.Position{File: j.file}
			var placed *RenderError
			if errors.As(j.err, &placed) && placed.Source != "" {
				at = report.Position{File: filepath.Join(j.folder, placed.Source), Line: placed.Line, Column: placed.Column}
			}
			w.unrendered(j, at)
		}
		for _, m := range j.rendered {
			name := j.file
			if m.Source != "" {
				name = filepath.Join(j.folder, m.Source)
			}
			f := &File{Name: name, Folder: j.folder + j.variant, Data: m.Data, Rendered: true, template: m.Template, chart: j.values, rendering: j.rendering()}
			if j.kustomized {
				f.overlay = j.folder
			}
			w.files = append(w.files, f)
			j.seen.files = append(j.seen.files, f)
		}
		for _, n := range j.seen.by {
			n.files = append(n.files, j.seen.files...)
			n.judged = n.judged || j.err != nil
		}
	}
	for i, e := range w.errs {
		if len(e.Renderings) == 1 && within(filepath.Dir(e.Position.File), map[string]bool{filepath.FromSlash(e.Renderings[0]): true}) {
			// Its place is enough.
			w.errs[i].Renderings = nil
		}
	}
}

// unrendered reports why a folder cannot be rendered: once for each cause, and not if its file could not be read.
func (w *walk) unrendered(j *job, at report.Position) {
	w.failed = append(w.failed, j.folder)
	e := report.Error{Position: at, Message: fmt.Sprintf("cannot be rendered: %v", j.err), Renderings: []string{j.rendering()}}
	for i, other := range w.errs {
		switch {
		case other.Position == e.Position && other.Message == e.Message:
			w.errs[i].Renderings = append(w.errs[i].Renderings, e.Renderings...)
			return
		case other.Position.File == e.Position.File && e.Position.File != j.file && slices.Contains(w.unread, e.Position.File):
			return
		}
	}
	w.errs = append(w.errs, e)
}

// rendering identifies the rendering of the folder.
func (j *job) rendering() string { return filepath.ToSlash(j.folder) + j.variant }

func (j *job) run() {
	if j.render == nil {
		j.err = errors.New("this program cannot render it")
		return
	}
	// A panic in a chart's or kustomization's code must not affect others.
	defer func() {
		if r := recover(); r != nil {
			j.err = fmt.Errorf("the renderer panicked: %v", r)
		}
	}()
	j.rendered, j.err = j.render(j.folder)
}
