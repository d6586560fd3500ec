package render

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/manifests"
)

// Kustomization builds the kustomization in the folder, like kustomize build. It downloads nothing: everything must be on disk.
func Kustomization(folder string) ([]manifests.Rendered, error) {
	return build(folder, types.LoadRestrictionsRootOnly)
}

// UnrestrictedKustomization is Kustomization with files outside the folder allowed, like kustomize's
// --load-restrictor=LoadRestrictionsNone.
func UnrestrictedKustomization(folder string) ([]manifests.Rendered, error) {
	return build(folder, types.LoadRestrictionsNone)
}

// schemas is held during a build, because the package keeps schemas in global variables. Only kustomizations with their own schemas
// differ; they build alone.
var schemas sync.RWMutex

func build(folder string, restrictions types.LoadRestrictions) ([]manifests.Rendered, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	// kustomize resolves links in the path too.
	if absolute, err = filepath.EvalSymlinks(absolute); err != nil {
		return nil, err
	}
	schemas.RLock()
	rendered, err := run(&tracing{FileSystem: filesys.MakeFsOnDisk(), folder: absolute}, restrictions)
	schemas.RUnlock()
	if errors.Is(err, errOwnSchema) {
		schemas.Lock()
		defer schemas.Unlock()
		openapi.ResetOpenAPI()
		defer openapi.ResetOpenAPI()
		return run(&tracing{FileSystem: filesys.MakeFsOnDisk(), folder: absolute, alone: true}, restrictions)
	}
	return rendered, err
}

func run(files *tracing, restrictions types.LoadRestrictions) ([]manifests.Rendered, error) {
	defer quiet()()
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = restrictions
	built, err := krusty.MakeKustomizer(options).Run(files, files.folder)
	if files.stopped != nil {
		// kustomize's error for it says less.
		return nil, files.stopped
	}
	if err != nil {
		return nil, files.cause(err)
	}
	var rendered []manifests.Rendered
	for _, resource := range built.Resources() {
		origin, err := resource.GetOrigin()
		if err != nil {
			return nil, err
		}
		source := ""
		if origin != nil && origin.Repo == "" {
			source = origin.Path
		}
		if err := resource.SetOrigin(nil); err != nil {
			return nil, err
		}
		// For an object that no rule reads, its existence is enough.
		text := fmt.Sprintf("apiVersion: %s\nkind: %s\n", resource.GetApiVersion(), resource.GetKind())
		if manifests.Reads(resource.GetKind()) {
			if text, err = resource.RNode.String(); err != nil {
				return nil, err
			}
		}
		rendered = append(rendered, manifests.Rendered{Source: source, Data: []byte(text)})
	}
	return rendered, nil
}

// tracing is a file system that makes the kustomization in one folder record the origin of each resource, and rejects every
// kustomization with remote parts.
type tracing struct {
	filesys.FileSystem
	folder string
	// alone means that no other kustomization is built at the same time.
	alone bool
	// stopped is why a file was rejected.
	stopped error
	// read are the kustomizations read so far, by folder.
	read map[string]string
}

// errOwnSchema stops a concurrent build of a kustomization.
var errOwnSchema = errors.New("a kustomization has a schema of its own")

func (t *tracing) ReadFile(name string) ([]byte, error) {
	data, err := t.FileSystem.ReadFile(name)
	if err != nil || !manifests.IsKustomization(name) {
		return data, err
	}
	if t.read == nil {
		t.read = map[string]string{}
	}
	t.read[filepath.Dir(name)] = name
	var fields map[string]any
	if yaml.Unmarshal(data, &fields) != nil {
		// kustomize reports the error better.
		return data, nil
	}
	if len(fields) == 0 && filepath.Dir(name) == t.folder {
		t.stopped = errors.New(filepath.Base(name) + " is empty")
		return nil, t.stopped
	}
	if fields["openapi"] != nil && !t.alone {
		t.stopped = errOwnSchema
		return nil, t.stopped
	}
	if what, message := t.remote(filepath.Dir(name), fields); what != "" {
		t.stopped = &manifests.RenderError{Source: t.below(name), Line: lineOf(data, what), Message: message}
		return nil, t.stopped
	}
	if filepath.Dir(name) != t.folder {
		return data, nil
	}
	asked, _ := fields["buildMetadata"].([]any)
	fields["buildMetadata"] = append(asked, "originAnnotations")
	return yaml.Marshal(fields)
}

// below returns the path from the folder.
func (t *tracing) below(name string) string {
	if rel, err := filepath.Rel(t.folder, name); err == nil {
		return rel
	}
	return name
}

// url matches a URL that kustomize would download, optionally after the key of a ConfigMap.
var url = regexp.MustCompile(`^([-._a-zA-Z0-9]+=)?https?://`)

// remote returns the first part of a kustomization that is remote, and a message about it.
func (t *tracing) remote(folder string, fields map[string]any) (what, message string) {
	missing := func(field, text string) (string, string) {
		return text, fmt.Sprintf("%s names %s, which is not a file or folder here, and Mooring downloads nothing", field, text)
	}
	for _, field := range []string{"resources", "bases", "components"} {
		for _, text := range texts(fields[field]) {
			if !t.Exists(filepath.Join(folder, text)) {
				return missing(field, text)
			}
		}
	}
	for _, field := range []string{"patches", "patchesJson6902"} {
		patches, _ := fields[field].([]any)
		for _, patch := range patches {
			of, _ := patch.(map[string]any)
			if path, _ := of["path"].(string); path != "" && !url.MatchString(path) && !t.Exists(filepath.Join(folder, path)) {
				return missing(field, path)
			}
		}
	}
	for _, field := range []string{
		"configMapGenerator", "configurations", "crds", "generators", "openapi", "patches", "patchesJson6902",
		"patchesStrategicMerge", "replacements", "secretGenerator", "transformers", "validators",
	} {
		for _, text := range texts(fields[field]) {
			if url.MatchString(text) {
				return missing(field, text)
			}
		}
	}
	for _, field := range []string{"helmCharts", "helmChartInflationGenerator"} {
		if fields[field] != nil {
			return field, field + " needs helm itself: kustomize build --enable-helm FOLDER | mooring check -"
		}
	}
	return "", ""
}

// texts returns the strings in a value, without data.
func texts(value any) []string {
	var found []string
	switch value := value.(type) {
	case string:
		found = []string{value}
	case []any:
		for _, v := range value {
			found = append(found, texts(v)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if key != "literals" && key != "options" {
				found = append(found, texts(value[key])...)
			}
		}
	}
	return found
}
