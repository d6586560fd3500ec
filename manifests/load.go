package manifests

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v3"

	"github.com/mooring-dev/mooring/report"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Renderer renders the chart or kustomization in a folder to manifests.
type Renderer func(folder string) ([]Rendered, error)

// Rendered is one manifest that was rendered.
type Rendered struct {
	// Source is the file that it was rendered from, below the folder; empty where nobody knows.
	Source string
	// Template is its path within a chart, beginning with the chart's name.
	Template string
	Data     []byte
}

// RenderError is what keeps a chart or a kustomization from being rendered, where a Renderer knows the place.
type RenderError struct {
	// Source is the file at fault, below the folder, and Line and Column are the place in it; 0 where nobody knows.
	Source       string
	Line, Column int
	Message      string
}

func (e *RenderError) Error() string { return e.Message }

// Release says how charts are rendered, as helm template would.
type Release struct {
	// Name of the release; empty stands for the chart's.
	Name string
	// Namespace that the release is installed into; empty stands for default.
	Namespace string
	// ValueFiles and Values are those of helm's --values and --set, the later over the earlier.
	ValueFiles, Values []string
}

// Loader reads manifests. The zero value reads files and folders.
type Loader struct {
	// Stdin is read for the path "-".
	Stdin io.Reader
	// Chart and Kustomization render such folders. Without them the folders are errors.
	Chart, Kustomization Renderer
	// Release is what Chart renders charts for, and ChartOf renders them for another: Base has them rendered with the values
	// files as they were. Without ChartOf it takes those that are there now.
	Release Release
	ChartOf func(Release) Renderer
	// Sparse leaves out of Pod templates what no rule reads, such as the containers' environment: to judge a set by itself, and
	// not for comparing its objects with those of a cluster.
	Sparse bool
	// Progress, if set, is told how many of the files have been read, from several goroutines.
	Progress func(read, of int)
}

// Load reads what the paths name: files, folders with everything below them but what git ignores, charts, kustomizations.
// What cannot be read is among the set's errors.
func (l Loader) Load(paths ...string) *Set {
	w := walk{Loader: l, seen: map[string]bool{}}
	for _, path := range paths {
		w.path(path)
	}
	w.render()
	return w.load()
}

// load reads the files of the walk.
func (w *walk) load() *Set {
	set := &Set{Errors: w.errs}
	// Each file has a slot of its own, so that the order is that of the paths, whoever is first.
	objects := make([]int, len(w.files))
	errs := make([][]report.Error, len(w.files))
	var next, read atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(w.files)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(w.files); i = int(next.Add(1)) - 1 {
				w.files[i].sparse = w.Sparse
				objects[i], errs[i] = w.files[i].read()
				if w.Progress != nil {
					w.Progress(int(read.Add(1)), len(w.files))
				}
			}
		})
	}
	workers.Wait()
	for i, f := range w.files {
		set.Objects += objects[i]
		set.Errors = append(set.Errors, errs[i]...)
		if len(f.Documents) > 0 {
			set.Files = append(set.Files, f)
		}
	}
	return set
}

// read reads the file, unless it has been rendered, and decodes it.
func (f *File) read() (objects int, errs []report.Error) {
	if f.Data == nil {
		data, err := os.ReadFile(f.Name)
		if err != nil {
			return 0, []report.Error{unreadable(f.Name, err)}
		}
		f.Data = data
	} else if f.Rendered {
		// Where it is missing, as that of a packed chart is, there is no line to show.
		f.source, _ = os.ReadFile(f.Name)
	}
	objects, errs = f.decode()
	if len(f.Documents) == 0 {
		f.Data, f.source = nil, nil
	}
	return objects, errs
}

func unreadable(name string, err error) report.Error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	line, message := 0, err.Error()
	if yamlLine.MatchString(message) {
		line, message = place(err)
	}
	return report.Error{Position: report.Position{File: name, Line: line}, Message: "cannot be read: " + message}
}

// walk collects the files to read.
type walk struct {
	Loader
	files          []*File
	kustomizations []string
	seen           map[string]bool
	errs           []report.Error
}

func (w *walk) fail(name string, err error) { w.errs = append(w.errs, unreadable(name, err)) }

// path adds what one argument names.
func (w *walk) path(path string) {
	if path == Stdin {
		data, err := io.ReadAll(w.Stdin)
		if err != nil {
			w.fail("stdin", err)
			return
		}
		w.files = append(w.files, &File{Name: "stdin", Folder: "stdin", Data: append([]byte{}, data...)})
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
		w.kustomizations = append(w.kustomizations, filepath.Dir(path))
	default:
		w.file(path)
	}
}

func (w *walk) file(path string) {
	if path = filepath.Clean(path); !w.seen[path] {
		w.seen[path] = true
		w.files = append(w.files, &File{Name: path, Folder: filepath.Dir(path)})
	}
}

// folder adds what is below the folder: charts and kustomizations as such, and the other manifests.
func (w *walk) folder(root string) {
	names, err := below(root)
	if err != nil {
		w.fail(root, err)
	}
	whole := map[string]bool{}
	for _, name := range names {
		if folder := filepath.Dir(name); isChart(name) {
			whole[folder] = true
		}
	}
	kustomized := map[string]bool{}
	for _, name := range names {
		if folder := filepath.Dir(name); IsKustomization(name) && !inside(folder, whole) {
			kustomized[folder] = true
		}
	}
	for _, name := range names {
		folder := filepath.Dir(name)
		switch {
		case whole[folder] && isChart(name) && !inside(filepath.Dir(folder), whole):
			w.chart(folder)
		case kustomized[folder] && IsKustomization(name):
			w.kustomizations = append(w.kustomizations, folder)
		case !inside(folder, whole) && !inside(folder, kustomized) && isManifest(name):
			w.file(name)
		}
	}
}

// inside tells whether the folder, or one that it lies in, is among these.
func inside(folder string, these map[string]bool) bool {
	for {
		if these[folder] {
			return true
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return false
		}
		folder = parent
	}
}

func isChart(name string) bool { return filepath.Base(name) == "Chart.yaml" }

// IsKustomization tells whether a file of that name makes its folder a kustomization.
func IsKustomization(name string) bool {
	return slices.Contains([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"}, filepath.Base(name))
}

func isManifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name)))
}

// below returns the files below the folder, sorted, without what git ignores where the folder is git's.
func below(root string) ([]string, error) {
	if inRepository(root) {
		// Git knows best what it ignores: nested files, the user's own, and what is tracked all the same.
		list, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", ".").Output()
		if err == nil {
			var names []string
			for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
				if path := filepath.Join(root, name); isFile(path) {
					names = append(names, path)
				}
			}
			slices.Sort(names)
			return names, nil
		}
	}
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case !entry.IsDir():
			names = append(names, path)
		}
		return nil
	})
	return names, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// inRepository tells whether the folder, or one that it lies in, is a git work tree.
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

func (w *walk) chart(folder string) { w.rendered(folder, filepath.Join(folder, "Chart.yaml"), w.Chart) }

// rendered adds what the folder renders to. Named is the file that makes it what it is.
func (w *walk) rendered(folder, named string, render Renderer) {
	if w.seen[named] {
		return
	}
	w.seen[named] = true
	if render == nil {
		w.fail(named, errors.New("there is nothing here to render it with"))
		return
	}
	manifests, err := render(folder)
	if err != nil {
		at := report.Position{File: named}
		var placed *RenderError
		if errors.As(err, &placed) {
			at = report.Position{File: filepath.Join(folder, placed.Source), Line: placed.Line, Column: placed.Column}
		}
		w.errs = append(w.errs, report.Error{Position: at, Message: fmt.Sprintf("cannot be rendered: %v", err)})
	}
	for _, m := range manifests {
		name := named
		if m.Source != "" {
			name = filepath.Join(folder, m.Source)
		}
		w.files = append(w.files, &File{Name: name, Folder: folder, Data: m.Data, Rendered: true, template: m.Template})
	}
}

// render adds the kustomizations. Those that another one builds on are part of it, and not applied by themselves.
func (w *walk) render() {
	parts := map[string]bool{}
	names := map[string]string{}
	for _, folder := range w.kustomizations {
		k, named, err := readKustomization(folder)
		if err != nil {
			w.fail(cmp.Or(named, folder), err)
			continue
		}
		names[folder] = named
		parts[folder] = parts[folder] || k.Kind == "Component"
		for _, part := range slices.Concat(k.Resources, k.Bases, k.Components) {
			parts[filepath.Join(folder, part)] = true
		}
	}
	for _, folder := range w.kustomizations {
		if named, ok := names[folder]; ok && !parts[folder] {
			w.rendered(folder, named, w.Kustomization)
		}
	}
}

// kustomization is as much of one as says what it is made of.
type kustomization struct {
	Kind                         string
	Resources, Bases, Components []string
}

func readKustomization(folder string) (k kustomization, named string, err error) {
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		named = filepath.Join(folder, name)
		data, err := os.ReadFile(named)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return k, named, err
		}
		err = yaml.Unmarshal(data, &k)
		var wrong *yaml.TypeError
		if errors.As(err, &wrong) {
			err = errors.New("yaml: " + wrong.Errors[0])
		}
		return k, named, err
	}
	return k, "", fs.ErrNotExist
}
