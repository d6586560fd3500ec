package manifests

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// LoadChange loads what the paths hold now and in base: a git revision, or a folder with the same paths, or with an earlier state
// of the one path. Files of both sets have their present names. Nothing is checked out. A kustomization that is rendered by itself
// on one side is rendered by itself on the other too, even if others build on it there. The error means that base is neither a
// revision nor a folder; what could not be read is in the sets' errors.
func (l Loader) LoadChange(base string, paths ...string) (now, was *Set, err error) {
	now = l.Load(paths...)
	l.Stdin, l.whole = nil, map[string]bool{}
	for _, folder := range now.kustomized {
		l.whole[folder] = true
	}
	if was, err = l.base(base, paths); err != nil {
		return nil, nil, err
	}
	var more []string
	for _, folder := range was.kustomized {
		if _, named, err := readKustomization(folder); err == nil && !l.whole[folder] {
			l.whole[folder] = true
			more = append(more, named)
		}
	}
	now.merge(l.Load(more...))
	return now, was, nil
}

func (l Loader) base(base string, paths []string) (*Set, error) {
	top, revision, err := resolve(base)
	if err == nil {
		return l.revision(top, revision, paths)
	}
	if info, err2 := os.Stat(base); err2 != nil || !info.IsDir() {
		return nil, fmt.Errorf("%q is neither a folder nor a git revision: %w", base, err)
	}
	l = l.withValues(func(name string) string {
		if was := filepath.Join(base, name); exists(was) {
			return was
		}
		return name
	})
	var moved []move
	for _, path := range paths {
		was := filepath.Join(base, path)
		if path == Stdin || !exists(was) {
			if len(paths) > 1 {
				continue
			}
			was = base
		}
		moved = append(moved, move{was, path})
	}
	return l.moved(moved), nil
}

// move renames a path.
type move struct{ from, to string }

// moved loads the paths under their new names.
func (l Loader) moved(moves []move) *Set {
	l.alias = func(name string) string {
		for _, m := range moves {
			if below, err := filepath.Rel(m.from, name); err == nil && filepath.IsLocal(below) {
				return filepath.Join(m.to, below)
			}
		}
		return name
	}
	var paths []string
	for _, m := range moves {
		paths = append(paths, m.from)
	}
	set := l.Load(paths...)
	for _, f := range set.Files {
		f.Name, f.Folder = l.alias(f.Name), l.alias(f.Folder)
	}
	for i := range set.Errors {
		set.Errors[i].Position.File = l.alias(set.Errors[i].Position.File)
		for j, rendering := range set.Errors[i].Renderings {
			set.Errors[i].Renderings[j] = l.alias(rendering)
		}
	}
	for i, folder := range set.kustomized {
		set.kustomized[i] = l.alias(folder)
	}
	return set
}

// merge adds the content of another set.
func (s *Set) merge(other *Set) {
	s.Files, s.Errors = append(s.Files, other.Files...), append(s.Errors, other.Errors...)
	s.Objects += other.Objects
	s.kustomized = append(s.kustomized, other.kustomized...)
	maps.Copy(s.failed, other.failed)
}

// withValues returns a loader that renders charts with other values files: was returns the file for a name, "" for none.
func (l Loader) withValues(was func(name string) string) Loader {
	var files []string
	for _, name := range l.Release.ValueFiles {
		if name = was(name); name != "" {
			files = append(files, name)
		}
	}
	l.Release.ValueFiles = files
	return l
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// git runs git in the folder and returns its output. The error has git's message.
func git(folder string, args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %s", args[0], cmp.Or(strings.TrimSpace(string(exit.Stderr)), err.Error()))
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// BelowRoot returns the path of this folder from the root of its git repository, "" if there is none.
func BelowRoot() string {
	prefix, err := git(".", "rev-parse", "--show-prefix")
	if err != nil {
		return ""
	}
	return filepath.FromSlash(strings.TrimSuffix(prefix, "/"))
}

// resolve returns the top folder of this process's work tree, and the commit that base names.
func resolve(base string) (top, commit string, err error) {
	if strings.HasPrefix(base, "-") {
		return "", "", errors.New("a revision must not begin with a dash")
	}
	if top, err = git(".", "rev-parse", "--show-toplevel"); err != nil {
		return "", "", err
	}
	commit, err = git(".", "rev-parse", "--verify", "--quiet", "--end-of-options", base+"^{commit}")
	if err != nil {
		err = errors.New("git does not have this revision. Fix: in a shallow clone, fetch it first")
	}
	return top, commit, err
}

// revision loads the paths as they were in a commit, from files in a temporary folder.
func (l Loader) revision(top, commit string, paths []string) (*Set, error) {
	temporary, err := os.MkdirTemp("", "mooring-base-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	var inside []string
	within := map[string]string{}
	for _, path := range paths {
		if path == Stdin {
			continue
		}
		rel, err := relative(top, path)
		if err != nil {
			return nil, err
		}
		if rel == "" {
			return nil, fmt.Errorf("%s is not in the git repository %s", path, top)
		}
		within[path] = rel
		inside = append(inside, rel)
	}
	if len(inside) == 0 {
		return &Set{}, nil
	}
	values := map[string]string{}
	for _, name := range l.Release.ValueFiles {
		if values[name], err = relative(top, name); err != nil {
			return nil, err
		}
		if values[name] != "" {
			inside = append(inside, values[name])
		}
	}
	if err := extract(top, commit, temporary, inside); err != nil {
		return nil, err
	}
	l = l.withValues(func(name string) string {
		if values[name] == "" {
			return name
		}
		if was := filepath.Join(temporary, values[name]); exists(was) {
			return was
		}
		return ""
	})
	if renders(temporary) {
		// Kustomizations can build on any folder of the repository, and charts on other charts.
		if err := extract(top, commit, temporary, []string{"."}); err != nil {
			return nil, err
		}
	}
	if err := vendor(top, temporary); err != nil {
		return nil, err
	}
	var moved []move
	for _, path := range paths {
		if was := filepath.Join(temporary, within[path]); within[path] != "" && exists(was) {
			moved = append(moved, move{was, path})
		}
	}
	return l.moved(moved), nil
}

// relative returns the path in git's form, from the top folder of the work tree, or "" if it is outside.
func relative(top, path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if full, err = resolveLinks(full); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(top, full)
	if err != nil || !filepath.IsLocal(rel) {
		return "", nil
	}
	return rel, nil
}

// resolveLinks resolves the symbolic links in a path that may no longer exist.
func resolveLinks(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, os.ErrNotExist) {
		return resolved, err
	}
	parent, err := resolveLinks(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// renders reports whether the folder has a kustomization or a chart.
func renders(folder string) bool {
	found := false
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && (IsKustomization(path) || isChart(path)) {
			found = true
			return fs.SkipAll
		}
		return err
	})
	return found || err != nil
}

// vendor copies the content of today's charts folders that git does not have to the charts of the earlier revision, because
// dependencies are often not committed. It skips a chart whose Chart.lock had other versions.
func vendor(top, earlier string) error {
	return filepath.WalkDir(earlier, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isChart(path) {
			return err
		}
		chart := filepath.Dir(path)
		rel, err := filepath.Rel(earlier, chart)
		if err != nil || !sameFile(filepath.Join(top, rel, "Chart.lock"), filepath.Join(chart, "Chart.lock")) {
			return err
		}
		held := filepath.Join(top, rel, "charts")
		entries, err := os.ReadDir(held)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, e := range entries {
			if to := filepath.Join(chart, "charts", e.Name()); !exists(to) {
				if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
					return err
				}
				if err := os.Symlink(filepath.Join(held, e.Name()), to); err != nil {
					return err
				}
			}
		}
		return err
	})
}

// sameFile reports whether both files have the same content, or neither exists.
func sameFile(a, b string) bool {
	one, err1 := os.ReadFile(a)
	other, err2 := os.ReadFile(b)
	return (err1 == nil) == (err2 == nil) && bytes.Equal(one, other)
}

// extract writes a commit's files below the paths into a folder.
func extract(top, commit, into string, paths []string) error {
	list, err := git(top, append([]string{"ls-tree", "-r", "-z", "--full-tree", commit, "--"}, paths...)...)
	if err != nil {
		return err
	}
	var ids, names []string
	for entry := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		// A line has mode, type and object, then a tab and the name. Links and submodules are skipped.
		about, name, _ := strings.Cut(entry, "\t")
		words := strings.Fields(about)
		if len(words) == 3 && strings.HasPrefix(words[0], "100") && filepath.IsLocal(name) {
			ids, names = append(ids, words[2]), append(names, name)
		}
	}
	batch := exec.Command("git", "-C", top, "cat-file", "--batch")
	batch.Stdin = strings.NewReader(strings.Join(ids, "\n") + "\n")
	pipe, err := batch.StdoutPipe()
	if err != nil {
		return err
	}
	if err := batch.Start(); err != nil {
		return err
	}
	err = unpack(bufio.NewReader(pipe), names, into)
	// Read the rest after an error, so that git does not block.
	_, err2 := io.Copy(io.Discard, pipe)
	return errors.Join(err, err2, batch.Wait())
}

// unpack reads git's batch of objects and writes each to its file.
func unpack(batch *bufio.Reader, names []string, into string) error {
	for _, name := range names {
		header, err := batch.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(header)
		if len(words) != 3 {
			return fmt.Errorf("git cat-file says of %s: %s", name, strings.TrimSpace(header))
		}
		size, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		data := make([]byte, size+1)
		if _, err := io.ReadFull(batch, data); err != nil {
			return err
		}
		path := filepath.Join(into, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, data[:size], 0o600); err != nil {
			return err
		}
	}
	return nil
}
