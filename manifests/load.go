package manifests

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gobwas/glob"

	"github.com/mooring-dev/mooring/report"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Renderer renders the chart or kustomization in a folder to manifests.
type Renderer func(folder string) ([]Rendered, error)

// Rendered is one manifest that was rendered.
type Rendered struct {
	// Source is the file that it was rendered from, below the folder; empty if nobody knows.
	Source string
	// Template is its path within a chart, beginning with the chart's name.
	Template string
	Data     []byte
}

// RenderError is what keeps a chart or a kustomization from being rendered, where a Renderer knows the place.
type RenderError struct {
	// Source is the file at fault, below the folder, and Line and Column are the place in it; 0 if nobody knows.
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
	Chart         func(Release, string) ([]Rendered, error)
	Kustomization Renderer
	// Release is what charts are rendered for. Base takes its values files as they were.
	Release Release
	// Sparse leaves out of Pod templates what no rule reads, such as the containers' environment: to judge a set by itself, and
	// not for comparing its objects with those of a cluster.
	Sparse bool
	// Exclude are globs of files and folders that are not read where a folder holds them.
	Exclude []glob.Glob
	// ValuesGlob finds the values files below a chart that it is rendered with, each by itself. Where it finds none, or the
	// release has values of its own, the chart is rendered once.
	ValuesGlob string
	// Progress, if set, is told how many of the folders have been rendered, or the files read, from several goroutines.
	Progress func(done, of int, what string)

	// alias says how a path is to be called, if set.
	alias func(path string) string
	// entire keeps the files' texts and every workload, for fixing.
	entire bool
	// whole are kustomizations that are rendered by themselves though others build on them.
	whole map[string]bool
}

// Load reads what the paths name: files, folders with everything below them but what git ignores, charts, kustomizations.
// What cannot be read is among the set's errors.
func (l Loader) Load(paths ...string) *Set {
	w := newWalk(l)
	for _, path := range paths {
		w.path(path)
	}
	w.kustomize()
	w.render()
	return w.load()
}

// parallel calls do for each index below n, on all processors.
func parallel(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}

// load reads the files of the walk.
func (w *walk) load() *Set {
	set := &Set{Errors: w.errs, kustomized: w.kustomized, failed: map[string]bool{}}
	for _, e := range w.errs {
		set.failed[e.Position.File] = true
	}
	for _, folder := range w.failed {
		set.failed[folder] = true
	}
	// Each file has a slot of its own, so that the order is that of the paths, whoever is first.
	objects := make([]int, len(w.files))
	errs := make([][]report.Error, len(w.files))
	var read atomic.Int64
	parallel(len(w.files), func(i int) {
		w.files[i].sparse, w.files[i].entire = w.Sparse, w.entire
		objects[i], errs[i] = w.files[i].read()
		if w.Progress != nil {
			w.Progress(int(read.Add(1)), len(w.files), "files read")
		}
	})
	if w.entire {
		set.all = w.files
	}
	judged := map[*File]bool{}
	for i, f := range w.files {
		set.Objects += objects[i]
		set.Errors = append(set.Errors, errs[i]...)
		judged[f] = objects[i] > 0 || len(errs[i]) > 0
		if len(errs[i]) > 0 {
			set.failed[f.Name] = true
		}
		if len(f.Documents) > 0 {
			set.Files = append(set.Files, f)
		}
	}
	for _, n := range w.named {
		if !n.judged && !slices.ContainsFunc(n.files, func(f *File) bool { return judged[f] }) {
			set.Empty = append(set.Empty, n.path)
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
	if encoding := notUTF8(f.Data); encoding != "" {
		f.Data, f.source = nil, nil
		return 0, []report.Error{{Position: report.Position{File: f.Name}, Message: "cannot be read: " + encoding}}
	}
	objects, errs = f.decode()
	if len(f.Documents) == 0 && !f.entire {
		f.Data, f.source = nil, nil
	}
	return objects, errs
}

func unreadable(name string, err error) report.Error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	line, message := place(err)
	return report.Error{Position: report.Position{File: name, Line: line}, Message: "cannot be read: " + message}
}
