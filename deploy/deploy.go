// Package deploy renders Mooring's Helm chart with Helm's own packages. It is a separate module, so that Helm's dependencies are
// not Mooring's.
package deploy

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

// Namespace is the namespace in install.yaml.
const Namespace = "mooring-system"

// all: because go:embed leaves out names that begin with an underscore, such as _helpers.tpl.
//
//go:embed all:chart
var files embed.FS

// InstallYAML returns the content of install.yaml.
func InstallYAML() ([]byte, error) {
	values := map[string]any{"namespace": map[string]any{"create": true}}
	rendered, err := Render(values, Namespace)
	if err != nil {
		return nil, err
	}
	return append([]byte("# rendered from deploy/chart by `make render`, do not edit\n"), rendered...), nil
}

// Render renders the chart for the namespace, with these values over its own. It returns YAML documents in the order to apply them:
// CustomResourceDefinitions, the rest as Helm installs it, webhook configurations last. The error names a value that the chart's
// schema rejects.
func Render(values map[string]any, namespace string) ([]byte, error) {
	mooring, err := load()
	if err != nil {
		return nil, err
	}
	release := chartutil.ReleaseOptions{Name: mooring.Name(), Namespace: namespace, IsInstall: true, Revision: 1}
	context, err := chartutil.ToRenderValues(mooring, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	// Strict makes it an error if a template reads a value that is not in values.yaml.
	rendered, err := engine.Engine{Strict: true}.Render(mooring, context)
	if err != nil {
		return nil, err
	}
	for name := range rendered {
		if !strings.HasSuffix(name, ".yaml") {
			delete(rendered, name) // NOTES.txt is for people
		}
	}
	_, manifests, err := releaseutil.SortManifests(rendered, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, err
	}

	var out bytes.Buffer
	for _, crd := range mooring.CRDObjects() {
		fmt.Fprintf(&out, "---\n%s\n", bytes.TrimSpace(crd.File.Data))
	}
	for _, m := range manifests {
		fmt.Fprintf(&out, "---\n%s\n", strings.TrimSpace(m.Content))
	}
	return out.Bytes(), nil
}

// load reads the embedded chart.
func load() (*chart.Chart, error) {
	root, err := fs.Sub(files, "chart")
	if err != nil {
		return nil, err
	}
	var buffered []*loader.BufferedFile
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		buffered = append(buffered, &loader.BufferedFile{Name: name, Data: data})
		return err
	})
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(buffered)
}
