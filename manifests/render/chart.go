// Package render renders charts and kustomizations with the packages of Helm and kustomize. It is separate from manifests because
// these have many dependencies.
package render

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/strvals"

	"github.com/mooring-dev/mooring/manifests"
)

// kubeVersion is the Kubernetes version that charts are rendered for: that of k8s.io/client-go in go.mod, as for helm template.
// Helm's packages default to 1.20.
var kubeVersion = chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}

// Chart renders the chart in the folder, with the dependencies in its charts folder. It downloads nothing.
func Chart(release manifests.Release, folder string) ([]manifests.Rendered, error) {
	defer quiet()()
	loaded, err := loader.LoadDir(folder)
	if err != nil {
		return nil, err
	}
	if err := addLocal(loaded, folder); err != nil {
		return nil, err
	}
	if loaded.Metadata.Type == "library" {
		return nil, nil
	}
	if missing := missing(loaded); len(missing) > 0 {
		return nil, fmt.Errorf("its dependencies are not in its charts folder: %s. Fix: helm dependency build %s", strings.Join(missing, ", "), folder)
	}
	values, err := merged(release)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependenciesWithMerge(loaded, values); err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{
		Name:      cmp.Or(release.Name, loaded.Name()),
		Namespace: cmp.Or(release.Namespace, "default"),
		IsInstall: true,
		Revision:  1,
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = kubeVersion
	// Helm would download the schemas that a schema refers to.
	context, err := chartutil.ToRenderValuesWithSchemaValidation(loaded, values, options, capabilities, true)
	if err != nil {
		return nil, err
	}
	if all, ok := context["Values"].(chartutil.Values); ok {
		if err := validate(loaded, all); err != nil {
			return nil, err
		}
	}
	texts, err := engine.Engine{}.Render(loaded, context)
	if err != nil {
		return nil, placed(err)
	}
	var rendered []manifests.Rendered
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if text := strings.TrimSpace(texts[name]); text != "" && path.Base(name) != "NOTES.txt" && !strings.HasPrefix(path.Base(name), "_") {
			// The template's name begins with the chart's, its path in the folder does not.
			_, source, _ := strings.Cut(name, "/")
			rendered = append(rendered, manifests.Rendered{Source: source, Template: name, Data: []byte(text + "\n")})
		}
	}
	return rendered, nil
}

// templateError matches the beginning of Helm's template errors: the chart's name, and the file, line and column in it.
var templateError = regexp.MustCompile(`^(?:template: |parse error at \(|execution error at \()[^/]+/([^:]+):(\d+)(?::(\d+))?\)?: `)

// placed adds the place to a template error.
func placed(err error) error {
	m := templateError.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	line, _ := strconv.Atoi(m[2])
	column := 0
	if before, err := strconv.Atoi(m[3]); err == nil {
		column = before + 1
	}
	return &manifests.RenderError{Source: m[1], Line: line, Column: column, Message: strings.TrimPrefix(err.Error(), m[0])}
}

// missing returns the names of dependencies that the chart requires and does not have.
func missing(c *chart.Chart) []string {
	held := map[string]bool{}
	for _, dependency := range c.Dependencies() {
		held[dependency.Name()] = true
	}
	var names []string
	for _, wanted := range c.Metadata.Dependencies {
		if !held[wanted.Name] {
			names = append(names, wanted.Name)
		}
	}
	return names
}

// addLocal adds the missing dependencies that are in folders beside the chart, which helm dependency build would pack.
func addLocal(c *chart.Chart, folder string) error {
	held := map[string]bool{}
	for _, dependency := range c.Dependencies() {
		held[dependency.Name()] = true
	}
	for _, wanted := range c.Metadata.Dependencies {
		path, local := strings.CutPrefix(wanted.Repository, "file://")
		if held[wanted.Name] || !local {
			continue
		}
		if path = filepath.FromSlash(path); !filepath.IsAbs(path) {
			path = filepath.Join(folder, path)
		}
		dependency, err := loader.LoadDir(path)
		if err != nil {
			return fmt.Errorf("its dependency %s, %s: %w", wanted.Name, wanted.Repository, err)
		}
		if err := addLocal(dependency, path); err != nil {
			return err
		}
		c.AddDependency(dependency)
	}
	return nil
}

// merged returns the values of the release, without the chart's own.
func merged(release manifests.Release) (map[string]any, error) {
	values := map[string]any{}
	for _, name := range release.ValueFiles {
		read, err := chartutil.ReadValuesFile(name)
		if err != nil {
			var at *fs.PathError
			if errors.As(err, &at) {
				err = at.Err
			}
			return nil, fmt.Errorf("--values: %s: %w", name, err)
		}
		values = chartutil.MergeTables(read, values)
	}
	var errs []error
	for _, assignment := range release.Values {
		if err := strvals.ParseInto(assignment, values); err != nil {
			errs = append(errs, fmt.Errorf("--set: %q: %w", assignment, err))
		}
	}
	return values, errors.Join(errs...)
}
