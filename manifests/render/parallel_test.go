package render

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKustomizationsTogether builds overlays with shared bases concurrently, some with their own schema. Each result must be the
// same as alone.
func TestKustomizationsTogether(t *testing.T) {
	t.Chdir(t.TempDir())
	files := map[string]string{}
	for b := range 3 {
		base := fmt.Sprintf("base%d/", b)
		files[base+"kustomization.yaml"] = "resources: [db.yaml]\nnamePrefix: x-\nlabels: [{pairs: {tier: data}, includeSelectors: true}]\n"
		files[base+"db.yaml"] = plain
	}
	for o := range 24 {
		overlay := fmt.Sprintf("overlay%02d/", o)
		files[overlay+"kustomization.yaml"] = fmt.Sprintf("namespace: shop-%d\nresources: [../base%d]\npatches: [{path: patch.yaml}]\n", o, o%3)
		if o%8 == 0 {
			files[overlay+"kustomization.yaml"] += "openapi: {path: schema.json}\n"
			files[overlay+"schema.json"] = `{"definitions": {}}`
		}
		files[overlay+"patch.yaml"] = fmt.Sprintf("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: %d, template: {spec: {containers: [{name: db, image: 'db:%[1]d'}]}}}\n", o)
	}
	write(t, ".", files)
	together := loading(nil, nil).Load(".")
	if len(together.Errors) > 0 || len(together.Files) != 24 {
		t.Fatalf("%d files, errors %v", len(together.Files), together.Errors)
	}
	for _, f := range together.Files {
		alone, err := Kustomization(f.Folder)
		if err != nil || len(alone) != 1 {
			t.Fatal(err, alone)
		}
		if f.Name != filepath.Join(f.Folder, alone[0].Source) {
			t.Errorf("%s comes from %s", f.Folder, f.Name)
		}
		if diff := cmp.Diff(string(alone[0].Data), string(f.Data)); diff != "" {
			t.Errorf("%s (-alone +together)\n%s", f.Folder, diff)
		}
	}
}
