package manifests

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"

	"github.com/mooring-dev/mooring/report"
)

// Sources loads the manifests that can be fixed: the named files and, in folders, what Load reads as plain files. Of a
// kustomization these are the files among its resources, not its patches; those outside the paths are only context for the rules.
// Charts are skipped and returned.
func (l Loader) Sources(paths ...string) (set *Set, skipped []string) {
	s := sources{roots: paths, outside: map[string]bool{}}
	l.entire = true
	w := newWalk(l)
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case path == Stdin:
			w.errs = append(w.errs, report.Error{Position: report.Position{File: "stdin"}, Message: "fix needs files and cannot change the standard input"})
		case err == nil && chartOf(path) != "":
			skipped = append(skipped, chartOf(path))
		case err == nil && !info.IsDir() && IsKustomization(path):
			w.named = append(w.named, &named{path: path})
			w.kustomization(filepath.Dir(path))
		default:
			w.path(path)
		}
	}
	for _, j := range w.jobs {
		skipped = append(skipped, j.folder)
	}
	for _, k := range w.kustomizations {
		s.resources(w, k.folder)
	}
	set = w.load()
	for _, f := range set.Files {
		f.fixable = !s.outside[f.Name]
	}
	slices.Sort(skipped)
	return set, slices.Compact(skipped)
}

// chartOf returns the chart that contains the path, or "".
func chartOf(path string) string {
	folder, err := filepath.Abs(path)
	for err == nil {
		if isFile(filepath.Join(folder, "Chart.yaml")) {
			return folder
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return ""
		}
		folder = parent
	}
	return ""
}

// sources follows kustomizations to their files.
type sources struct {
	roots   []string
	outside map[string]bool
	visited []string
}

// resources adds the files among the kustomization's resources, and those of its folders.
func (s *sources) resources(w *walk, folder string) {
	folder = filepath.Clean(folder)
	if slices.Contains(s.visited, folder) {
		return
	}
	s.visited = append(s.visited, folder)
	k, named, err := readKustomization(folder)
	if err != nil {
		w.fail(cmp.Or(named, folder), err)
		return
	}
	for _, resource := range slices.Concat(k.Resources, k.Bases, k.Components) {
		// Anything else is a remote address.
		switch path := filepath.Join(folder, resource); {
		case isFile(path) && chartOf(path) == "":
			w.file(path)
			s.outside[path] = !slices.ContainsFunc(s.roots, func(root string) bool { return isBelow(root, path) })
		case exists(path):
			s.resources(w, path)
		}
	}
}

// isBelow reports whether the path is the root or below it.
func isBelow(root, path string) bool {
	root, err := filepath.Abs(root)
	if err != nil {
		return false
	}
	path, err = filepath.Abs(path)
	return err == nil && within(path, map[string]bool{root: true})
}
