package render

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/manifests"
)

// killed gives a StatefulSet's Pods no grace period.
const killed = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  template:\n    spec:\n      terminationGracePeriodSeconds: 0\n"

// TestPlaceInKustomization checks the place of a field that an overlay sets.
func TestPlaceInKustomization(t *testing.T) {
	grace := func(kustomization string, more map[string]string) map[string]string {
		files := map[string]string{
			"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": strings.Replace(plain, "    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n", 1),
			"prod/kustomization.yaml": "resources: [../base]\n" + kustomization,
		}
		maps.Copy(files, more)
		return files
	}
	const pointer = "/spec/template/spec/terminationGracePeriodSeconds"
	for _, tc := range []struct {
		name, check, want string
		files             map[string]string
	}{
		{"a patch in a file", "termination-grace/zero", "prod/patch.yaml:7", grace("patches: [{path: patch.yaml}]\n", map[string]string{"prod/patch.yaml": killed})},
		{"a patch in the kustomization", "termination-grace/zero", "prod/kustomization.yaml:10", grace("patches:\n- patch: |\n    "+strings.ReplaceAll(killed, "\n", "\n    ")+"\n", nil)},
		{"a JSON patch", "termination-grace/zero", "prod/kustomization.yaml:6", grace("patches:\n- target: {kind: StatefulSet, name: d.*}\n  patch: |\n    - {op: test, path: /metadata/name, value: db}\n    - {op: add, path: "+pointer+", value: 0}\n", nil)},
		{"a JSON patch of its parent", "update-strategy/", "prod/patch.yaml:5", grace("patches: [{target: {kind: StatefulSet}, path: patch.yaml}]\n", map[string]string{
			"prod/patch.yaml": "- op: add\n  path: /spec/updateStrategy\n  value:\n    type: RollingUpdate\n    rollingUpdate: {maxUnavailable: 2}\n"})},
		{"a patch of a component", "termination-grace/zero", "one/patch.yaml:7", grace("components: [../one]\n", map[string]string{
			"one/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: patch.yaml}]\n", "one/patch.yaml": killed})},
		{"a patch of a list item, by its name", "claim-template/no-volume", "prod/patch.yaml:8", grace("patches: [{path: patch.yaml}]\n", map[string]string{
			"prod/patch.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  template:\n    spec:\n      containers:\n      - {name: db, volumeMounts: [{name: dta, mountPath: /data}]}\n"})},
		{"the kustomization's replicas", "disruption-budget/none", "prod/kustomization.yaml:2", grace("replicas: [{name: db, count: 5}]\n", nil)},
		{"a replacement, whose line is unknown", "termination-grace/zero", "prod/kustomization.yaml:1", grace("replacements: [{source: {kind: ConfigMap, name: grace, fieldPath: data.seconds, options: {}}, targets: [{select: {kind: StatefulSet}, fieldPaths: [spec.template.spec.terminationGracePeriodSeconds]}]}]\n",
			map[string]string{"prod/kustomization.yaml": "resources: [../base, grace.yaml]\nreplacements: [{source: {kind: ConfigMap, name: grace, fieldPath: data.seconds}, targets: [{select: {kind: StatefulSet}, fieldPaths: [spec.template.spec.terminationGracePeriodSeconds]}]}]\n",
				"prod/grace.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: grace}\ndata: {seconds: 0}\n"})},
		{"a patch for another object", "disruption-budget/none", "base/db.yaml:8", grace("patches: [{target: {kind: Deployment}, path: patch.yaml}]\n", map[string]string{
			"prod/patch.yaml": "- {op: replace, path: /spec/replicas, value: 5}\n"})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, ".", tc.files)
			got := findings(t, loading(nil, nil).Load("."), nil)
			if !slices.ContainsFunc(got, func(f string) bool { return strings.HasPrefix(f, tc.want+" ") && strings.Contains(f, tc.check) }) {
				t.Errorf("no %s at %s in\n%s", tc.check, tc.want, strings.Join(got, "\n"))
			}
		})
	}
}

// TestPlaceInValues checks the place of a field that comes from a chart's values.
func TestPlaceInValues(t *testing.T) {
	chart := func(line string, more map[string]string) map[string]string {
		files := with(map[string]string{"db/values.yaml": "name: db\nreplicas: 3\npods:\n  grace: 0\n", "db/templates/statefulset.yaml": strings.Replace(statefulSet, "    spec:\n", "    spec:\n"+line, 1)})
		maps.Copy(files, more)
		return files
	}
	const grace = "      terminationGracePeriodSeconds: {{ .Values.pods.grace }}\n"
	for _, tc := range []struct {
		name, want, check       string
		files                   map[string]string
		valueFiles, assignments []string
	}{
		{name: "the chart's own", want: "db/values.yaml:4", files: chart(grace, nil)},
		{name: "a values file", want: "prod.yaml:1", files: chart(grace, map[string]string{"prod.yaml": "pods: {grace: 0}\n"}), valueFiles: []string{"prod.yaml"}},
		{name: "the last values file that sets the value", want: "b.yaml:2", files: chart(grace, map[string]string{"a.yaml": "pods: {grace: 1}\n", "b.yaml": "pods:\n  grace: 0\n", "c.yaml": "replicas: 1\n"}),
			valueFiles: []string{"a.yaml", "b.yaml", "c.yaml"}},
		{name: "the command line", want: "db/templates/statefulset.yaml:13", files: chart(grace, nil), assignments: []string{"pods.grace=0"}},
		{name: "only the template", want: "db/templates/statefulset.yaml:13", files: chart("      terminationGracePeriodSeconds: 0\n", nil)},
		{name: "a value that is not set", want: "db/templates/statefulset.yaml:13", files: chart("      terminationGracePeriodSeconds: {{ .Values.stop | default 0 }}\n", nil)},
		{name: "one of two values", want: "db/templates/statefulset.yaml:13", files: chart("      terminationGracePeriodSeconds: {{ .Values.stop | default .Values.pods.grace }}\n", nil)},
		{name: "values for a subchart", want: "db/values.yaml:2", files: chart("", map[string]string{
			"db/values.yaml": "name: db\nsub: {grace: 0}\n", "db/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "db/charts/sub/values.yaml": "grace: 30\n",
			"db/charts/sub/templates/db.yaml": strings.Replace(plain, "    spec:\n", "    spec:\n      terminationGracePeriodSeconds: {{ .Values.grace }}\n", 1)})},
		{name: "a subchart's own", want: "db/charts/sub/values.yaml:1", files: chart("", map[string]string{
			"db/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "db/charts/sub/values.yaml": "grace: 0\n",
			"db/charts/sub/templates/db.yaml": strings.Replace(plain, "    spec:\n", "    spec:\n      terminationGracePeriodSeconds: {{ .Values.grace }}\n", 1)})},
		{name: "a block of values", want: "db/values.yaml:4", check: "update-strategy/", files: chart("", map[string]string{
			"db/values.yaml":                "name: db\nreplicas: 3\nupdate:\n  rollingUpdate: {maxUnavailable: 2}\n",
			"db/templates/statefulset.yaml": statefulSet + "  updateStrategy:\n    {{- toYaml .Values.update | nindent 4 }}\n"})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, ".", tc.files)
			got := findings(t, loading(tc.valueFiles, tc.assignments).Load("db"), nil)
			if !slices.ContainsFunc(got, func(f string) bool {
				return strings.HasPrefix(f, tc.want+" ") && strings.Contains(f, cmp.Or(tc.check, "termination-grace/zero"))
			}) {
				t.Errorf("not at %s but\n%s", tc.want, strings.Join(got, "\n"))
			}
		})
	}
}

// TestErrorsOnce checks that one cause in several overlays is one error, at the cause's place.
func TestErrorsOnce(t *testing.T) {
	const in = " (in 3 overlays: o-0, o-1 and o-2)"
	for _, tc := range []struct {
		name string
		base map[string]string
		want string
	}{
		{"a resource that is not YAML", map[string]string{"kustomization.yaml": "resources: [db.yaml]\n", "db.yaml": "a: {\n"}, "base/db.yaml:1: cannot be rendered: did not find expected node content" + in},
		{"an unknown field", map[string]string{"kustomization.yaml": "resurces: [db.yaml]\n"}, `base/kustomization.yaml: cannot be rendered: invalid Kustomization: json: unknown field "resurces"` + in},
		{"a patch that matches no object", map[string]string{"kustomization.yaml": "resources: [db.yaml]\npatches: [{path: p.yaml}]\n", "db.yaml": plain, "p.yaml": strings.Replace(killed, "name: db", "name: bd", 1)},
			`base/kustomization.yaml: cannot be rendered: no resource matches strategic merge patch "StatefulSet.v1.apps/bd.[noNs]"` + in},
		{"a missing patch", map[string]string{"kustomization.yaml": "resources: [db.yaml]\npatches:\n- path: p.yaml\n", "db.yaml": plain},
			"base/kustomization.yaml:3: cannot be rendered: patches names p.yaml, which is not a file or folder here, and Mooring downloads nothing" + in},
		{"a file outside the folder", map[string]string{"kustomization.yaml": "resources:\n- ../db.yaml\n", "../db.yaml": plain},
			"base/kustomization.yaml:2: cannot be rendered: ../db.yaml is not below the kustomization's folder. Fix: allow it with --load-restrictor=none" + in},
		{"a duplicate object", map[string]string{"kustomization.yaml": "resources: [a.yaml, b.yaml]\n", "a.yaml": plain, "b.yaml": plain},
			"base/kustomization.yaml: cannot be rendered: may not add resource with an already registered id: StatefulSet.v1.apps/db.[noNs]" + in},
		{"a kustomization that is not YAML", map[string]string{"kustomization.yaml": "resources: [db.yaml\n"}, "base/kustomization.yaml:2: cannot be read: did not find expected ',' or ']'"},
		{"a remote file", map[string]string{"kustomization.yaml": "resources:\n- https://example.com/db.yaml\n"},
			"base/kustomization.yaml:2: cannot be rendered: resources names https://example.com/db.yaml, which is not a file or folder here, and Mooring downloads nothing" + in},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			files := map[string]string{"x.yaml": service}
			for name, text := range tc.base {
				files["base/"+name] = text
			}
			for i := range 3 {
				files[fmt.Sprintf("o-%d/kustomization.yaml", i)] = "resources: [../base]\n"
			}
			write(t, ".", files)
			var got []string
			for _, e := range loading(nil, nil).Load(".").Errors {
				got = append(got, e.String())
			}
			if diff := gocmp.Diff([]string{tc.want}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestFactsOnce checks that a finding in a shared base is reported once, whatever the overlays call the object.
func TestFactsOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	files := map[string]string{"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": plain}
	for i := range 7 {
		files[fmt.Sprintf("o-%d/kustomization.yaml", i)] = fmt.Sprintf("resources: [../base]\nnamespace: n-%d\nnamePrefix: p%[1]d-\n", i)
	}
	files["o-6/kustomization.yaml"] += "replicas: [{name: db, count: 5}]\n"
	write(t, ".", files)
	want := []string{
		"base/db.yaml:7 StatefulSet n-0/p0-db headless-service/missing Warn",
		"base/db.yaml:8 StatefulSet n-0/p0-db disruption-budget/none Warn",
		"o-6/kustomization.yaml:4 StatefulSet n-6/p6-db disruption-budget/none Warn",
	}
	if diff := gocmp.Diff(want, findings(t, loading(nil, nil).Load("."), nil)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestOverlayBehindALink checks that objects of a linked overlay also have their files.
func TestOverlayBehindALink(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", map[string]string{"real/prod/kustomization.yaml": "resources: [db.yaml]\n", "real/prod/db.yaml": plain})
	if err := os.Symlink("real/prod", "linked"); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]string{"linked/db.yaml StatefulSet db"}, objects(loading(nil, nil).Load("linked"))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestLoadRestrictor checks that files outside the kustomization's folder are read if requested.
func TestLoadRestrictor(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", map[string]string{"prod/kustomization.yaml": "resources: [../shared/db.yaml]\n", "shared/db.yaml": plain})
	for name, load := range map[string]manifests.Loader{"root": {Kustomization: Kustomization}, "none": {Kustomization: UnrestrictedKustomization}} {
		set := load.Load("prod")
		if errors, want := len(set.Errors), map[string]int{"root": 1}[name]; errors != want || len(set.Documents()) != 1-want {
			t.Errorf("%s: %d objects, errors %v", name, len(set.Documents()), set.Errors)
		}
	}
}
