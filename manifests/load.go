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

// Stdin is the path of standard input.
const Stdin = "-"

// Renderer renders the chart or kustomization in a folder to manifests.
type Renderer func(folder string) ([]Rendered, error)

// Rendered is a rendered manifest.
type Rendered struct {
	// Source is the file that it was rendered from, below the folder; "" if unknown.
	Source string
	// Template is its path in the chart, beginning with the chart's name.
	Template string
	Data     []byte
}

// RenderError is why a chart or a kustomization cannot be rendered, if the place is known.
type RenderError struct {
	// Source is the file at fault, below the folder. Line and Column are the place in it; 0 if unknown.
	Source       string
	Line, Column int
	Message      string
}

func (e *RenderError) Error() string { return e.Message }

// Release configures how charts are rendered, as for helm template.
type Release struct {
	// Name is the name of the release, by default the chart's.
	Name string
	// Namespace is the namespace of the release, by default default.
	Namespace string
	// ValueFiles and Values are those of helm's --values and --set. Later ones win.
	ValueFiles, Values []string
}

// Loader loads manifests. The zero value loads files and folders.
type Loader struct {
	// Stdin is read for the path "-".
	Stdin io.Reader
	// Chart and Kustomization render such folders. Without them, these folders are errors.
	Chart         func(Release, string) ([]Rendered, error)
	Kustomization Renderer
	// Release is the release for charts. Base uses its values files of that time.
	Release Release
	// Sparse skips the parts of Pod templates that no rule reads, such as the containers' environment. It is for judging a set by
	// itself, not for comparing it with a cluster.
	Sparse bool
	// Exclude are globs of files and folders to skip in folders.
	Exclude []glob.Glob
	// ValuesGlob finds values files below a chart, which is rendered with each of them. If it finds none, or the release has
	// values, the chart is rendered once.
	ValuesGlob string
	// Progress, if set, is called with the number of rendered folders or read files, from several goroutines.
	Progress func(done, of int, what string)

	// alias, if set, returns the name for a path.
	alias func(path string) string
	// entire keeps the files' texts and every workload, for fixing.
	entire bool
	// whole are kustomizations that are rendered by themselves even if others build on them.
	whole map[string]bool
}

// Load loads the paths: files, folders with everything below them that git does not ignore, charts, kustomizations. What cannot be
// read is in the set's errors.
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
	// Each file has its own slot, so that the result is in the order of the paths.
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

// read reads the file, unless it is rendered, and decodes it.
func (f *File) read() (objects int, errs []report.Error) {
	if f.Data == nil {
		data, err := os.ReadFile(f.Name)
		if err != nil {
			return 0, []report.Error{unreadable(f.Name, err)}
		}
		f.Data = data
	} else if f.Rendered {
		// If it is missing, as in a packed chart, there are no lines to show.
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
