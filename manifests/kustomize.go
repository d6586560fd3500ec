package manifests

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// kustomized is a kustomization found in a path.
type kustomized struct {
	folder string
	seen   *seen
}

func (w *walk) kustomization(folder string) {
	folder = filepath.Clean(folder)
	if s, first := w.once(folder); first {
		w.kustomizations = append(w.kustomizations, kustomized{folder, s})
	}
}

// kustomize adds the kustomizations. One that another builds on is part of that, and not rendered by itself unless it is in whole.
func (w *walk) kustomize() {
	parts, files := map[string][]string{}, map[string]string{}
	part, unread, unused := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, k := range w.kustomizations {
		is, file, err := readKustomization(k.folder)
		files[k.folder] = file
		if err != nil {
			w.fail(cmp.Or(file, k.folder), err)
			w.failed = append(w.failed, k.folder)
			unread[k.folder] = true
			for _, n := range k.seen.by {
				n.judged = true
			}
			continue
		}
		unused[k.folder] = is.Kind == "Component"
		for _, p := range slices.Concat(is.Resources, is.Bases, is.Components) {
			p = filepath.Join(k.folder, p)
			parts[k.folder] = append(parts[k.folder], p)
			part[p] = true
		}
	}
	reached := map[string]bool{}
	var reach func(folder string)
	reach = func(folder string) {
		if reached[folder] {
			return
		}
		reached[folder] = true
		for _, p := range parts[folder] {
			reach(p)
		}
	}
	render := func(k kustomized) {
		reach(k.folder)
		w.kustomized = append(w.kustomized, k.folder)
		w.jobs = append(w.jobs, &job{folder: k.folder, file: files[k.folder], render: w.Kustomization, seen: k.seen, kustomized: true})
	}
	for _, k := range w.kustomizations {
		if !part[k.folder] && !unused[k.folder] && !unread[k.folder] || w.whole[w.called(k.folder)] {
			render(k)
		}
	}
	for _, k := range w.kustomizations {
		switch {
		case !reached[k.folder] && part[k.folder] && !unread[k.folder]:
			// They build on each other.
			render(k)
		case part[k.folder]:
			for _, n := range k.seen.by {
				n.judged = true
			}
		}
	}
}

// called returns the name for the path.
func (l Loader) called(path string) string {
	if l.alias != nil {
		return l.alias(path)
	}
	return path
}

// kustomization has the fields of a kustomization that name its parts.
type kustomization struct {
	Kind                         string
	Resources, Bases, Components []string
}

func readKustomization(folder string) (k kustomization, named string, err error) {
	for _, name := range kustomizationNames {
		named = filepath.Join(folder, name)
		data, err := os.ReadFile(named)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return k, named, err
		}
		return k, named, yaml.Unmarshal(data, &k)
	}
	return k, "", fs.ErrNotExist
}

// filesNamed returns the possible file names in a kustomization: each string, or what follows a key and an equals sign.
func filesNamed(kustomization string) []string {
	data, err := os.ReadFile(kustomization)
	if err != nil {
		return nil
	}
	var n yaml.Node
	if yaml.Unmarshal(data, &n) != nil {
		return nil
	}
	var found []string
	var collect func(*yaml.Node)
	collect = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			found = append(found, n.Value)
			if _, path, ok := strings.Cut(n.Value, "="); ok {
				found = append(found, path)
			}
		}
		for _, c := range n.Content {
			collect(c)
		}
	}
	collect(&n)
	return found
}
