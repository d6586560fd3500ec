package render

import (
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/manifests"
)

// Kustomization builds the kustomization in the folder, as kustomize build would.
func Kustomization(folder string) ([]manifests.Rendered, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(tracing{filesys.MakeFsOnDisk(), absolute}, absolute)
	if err != nil {
		return nil, err
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
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		rendered = append(rendered, manifests.Rendered{Source: source, Data: text})
	}
	return rendered, nil
}

// tracing is a file system in which the kustomization of one folder asks for the origin of each resource to be noted.
type tracing struct {
	filesys.FileSystem
	folder string
}

func (t tracing) ReadFile(name string) ([]byte, error) {
	data, err := t.FileSystem.ReadFile(name)
	if err != nil || filepath.Dir(name) != t.folder || !manifests.IsKustomization(name) {
		return data, err
	}
	var fields map[string]any
	if yaml.Unmarshal(data, &fields) != nil {
		// What is wrong with it kustomize says better.
		return data, nil
	}
	asked, _ := fields["buildMetadata"].([]any)
	fields["buildMetadata"] = append(asked, "originAnnotations")
	return yaml.Marshal(fields)
}
