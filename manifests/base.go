package manifests

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Base loads what the paths held before: in a git revision, or in another folder that has the same paths, or that is the
// one path's earlier self. The files are named as they are now. Nothing is checked out. The error says that base is neither
// a revision nor a folder; what could not be read there is among the set's errors.
func (l Loader) Base(base string, paths ...string) (*Set, error) {
	l.Stdin = nil
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
	set := &Set{}
	for _, path := range paths {
		was := filepath.Join(base, path)
		if path == Stdin || !exists(was) {
			if len(paths) > 1 {
				continue
			}
			was = base
		}
		set.add(l.Load(was), was, path)
	}
	return set, nil
}

// withValues is a loader that renders charts with other files in place of the values files: none where was says "".
func (l Loader) withValues(was func(name string) string) Loader {
	if l.ChartOf == nil {
		return l
	}
	release := l.Release
	release.ValueFiles = nil
	for _, name := range l.Release.ValueFiles {
		if name = was(name); name != "" {
			release.ValueFiles = append(release.ValueFiles, name)
		}
	}
	l.Chart = l.ChartOf(release)
	return l
}

// add adds another set's files, named as though they were below to instead of from.
func (s *Set) add(other *Set, from, to string) {
	rename := func(name string) string {
		if below, err := filepath.Rel(from, name); err == nil && filepath.IsLocal(below) {
			return filepath.Join(to, below)
		}
		return name
	}
	for _, f := range other.Files {
		f.Name, f.Folder = rename(f.Name), rename(f.Folder)
	}
	for i := range other.Errors {
		other.Errors[i].Position.File = rename(other.Errors[i].Position.File)
	}
	s.Files, s.Errors = append(s.Files, other.Files...), append(s.Errors, other.Errors...)
	s.Objects += other.Objects
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// git runs git in the folder and returns what it prints. The error has what it says.
func git(folder string, args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %s", args[0], cmp.Or(strings.TrimSpace(string(exit.Stderr)), err.Error()))
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// resolve returns the top folder of the work tree that this process is in, and the commit that base names.
func resolve(base string) (top, commit string, err error) {
	if strings.HasPrefix(base, "-") {
		return "", "", errors.New("a revision does not begin with a dash")
	}
	if top, err = git(".", "rev-parse", "--show-toplevel"); err != nil {
		return "", "", err
	}
	commit, err = git(".", "rev-parse", "--verify", "--quiet", "--end-of-options", base+"^{commit}")
	if err != nil {
		err = errors.New("git knows no such revision here; a shallow clone has to fetch it first")
	}
	return top, commit, err
}

// revision loads the paths as they were in a commit. Their files are put into a temporary folder for as long as that takes.
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
	set := &Set{}
	if len(inside) == 0 {
		return set, nil
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
	if l.Kustomization != nil && l.kustomizes(temporary) {
		// Kustomizations may build on any folder of the repository.
		if err := extract(top, commit, temporary, []string{"."}); err != nil {
			return nil, err
		}
	}
	for _, path := range paths {
		if was := filepath.Join(temporary, within[path]); within[path] != "" && exists(was) {
			set.add(l.Load(was), was, path)
		}
	}
	return set, nil
}

// relative returns the path as git has it below the top folder of its work tree, empty where it lies elsewhere.
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

// resolveLinks resolves symbolic links of a path that need not be there any more.
func resolveLinks(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, os.ErrNotExist) {
		return resolved, err
	}
	parent, err := resolveLinks(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// kustomizes tells whether a kustomization is in the folder.
func (l Loader) kustomizes(folder string) bool {
	names, err := below(folder)
	for _, name := range names {
		if IsKustomization(name) {
			return true
		}
	}
	return err != nil
}

// extract writes the files that a commit has below the paths into a folder.
func extract(top, commit, into string, paths []string) error {
	list, err := git(top, append([]string{"ls-tree", "-r", "-z", "--full-tree", commit, "--"}, paths...)...)
	if err != nil {
		return err
	}
	var ids, names []string
	for entry := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		// mode, type and object, and the name after a tab. Links and submodules are not followed.
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
	// What is left unread after an error would keep git waiting.
	_, err2 := io.Copy(io.Discard, pipe)
	return errors.Join(err, err2, batch.Wait())
}

// unpack reads git's batch of objects and writes each to the file of its name.
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
