package manifests

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixing returns a judgement with the golden files' policy.
func fixing(t testing.TB) Judgement {
	t.Helper()
	found, errs := Loader{}.Load(filepath.Join("testdata", "fix-policy.yaml")).Policies()
	if len(found) != 1 || len(errs) > 0 {
		t.Fatalf("%d policies, %v", len(found), errs)
	}
	set, err := policies.Compile(rules.All, found, "baseline")
	if err != nil {
		t.Fatal(err)
	}
	return Judgement{Policies: set}
}

// fix fixes the paths, and returns the diff after the summary.
func fix(t *testing.T, j Judgement, paths ...string) (Fixes, string) {
	t.Helper()
	set, skipped := Loader{}.Sources(paths...)
	fixes := set.Fix(j)
	var b strings.Builder
	for _, e := range fixes.Errors {
		fmt.Fprintln(&b, "error", e)
	}
	for _, r := range fixes.Made {
		fmt.Fprintln(&b, "fixed", r)
	}
	for _, r := range fixes.Left {
		fmt.Fprintln(&b, "left ", r)
	}
	for _, chart := range skipped {
		fmt.Fprintln(&b, "chart", filepath.Base(chart))
	}
	for _, f := range fixes.Files {
		b.WriteString(f.Diff())
		if err := f.Write(); err != nil {
			t.Fatal(err)
		}
	}
	return fixes, b.String()
}

// unchanged fails the test if fixing again changes something.
func unchanged(t *testing.T, j Judgement, paths ...string) {
	t.Helper()
	if again, got := fix(t, j, paths...); len(again.Files) > 0 || len(again.Made) > 0 {
		t.Errorf("a second time it changes:\n%s", got)
	}
}

// TestFixGolden fixes each file of testdata/fix. Read the diffs before committing them.
func TestFixGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/fix/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	j := fixing(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			t.Chdir(folder)
			write(t, folder, map[string]string{"in.yaml": string(data)})
			_, got := fix(t, j, "in.yaml")
			golden := filepath.Join(here, strings.TrimSuffix(file, ".yaml")+".diff")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			unchanged(t, j, "in.yaml")
		})
	}
}

func TestFixFiles(t *testing.T) {
	j := fixing(t)
	db := statefulSet("db", "", "serviceName: db")
	three := statefulSet("db", "", "serviceName: db", "replicas: 3", "persistentVolumeClaimRetentionPolicy: {whenScaled: Retain, whenDeleted: Retain}",
		"updateStrategy: {type: OnDelete}")
	plain := "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {selector: {app: db}}\n"
	for _, tc := range []struct {
		name  string
		files map[string]string
		paths []string
		// want has the lines that each changed file must have afterwards.
		want map[string][]string
		// says are parts of the summary.
		says []string
	}{
		{
			name: "the Service is in another file", files: map[string]string{"a.yaml": three, "b.yaml": plain, "c.yaml": budget("db", "")},
			want: map[string][]string{"b.yaml": {"spec: {clusterIP: None, selector: {app: db}}\n"}},
		},
		{
			name: "line endings are kept", files: map[string]string{"a.yaml": strings.ReplaceAll(strings.TrimSuffix(three, "\n"), "\n", "\r\n")},
			want: map[string][]string{"a.yaml": {strings.ReplaceAll(three, "\n", "\r\n") + "---\r\napiVersion: v1\r\nkind: Service\r\n", "    matchLabels:\r\n      app: db"}},
		},
		{
			name: "each environment gets its own objects", files: map[string]string{"dev/a.yaml": three, "prod/a.yaml": three},
			want: map[string][]string{"dev/a.yaml": {"kind: Service\n", "kind: PodDisruptionBudget\n"}, "prod/a.yaml": {"kind: Service\n", "kind: PodDisruptionBudget\n"}},
		},
		{
			name: "a chart is not touched", files: map[string]string{"c/Chart.yaml": "name: c\n", "c/templates/a.yaml": three},
			says: []string{"chart c"},
		},
		{
			name: "a template of a chart is not touched", files: map[string]string{"c/Chart.yaml": "name: c\n", "c/templates/a.yaml": three}, paths: []string{"c/templates/a.yaml"},
			says: []string{"chart c"},
		},
		{
			name: "the resources of a kustomization are fixed, but not the patches",
			files: map[string]string{
				"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": three,
				"prod/kustomization.yaml": "resources: [../base, b.yaml]\npatches: [{path: patch.yaml}]\n", "prod/b.yaml": budget("db", ""),
				"prod/patch.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 5}\n",
			},
			want: map[string][]string{"base/a.yaml": {"kind: Service\n"}},
		},
		{
			name: "the base of an overlay is read, but not written",
			files: map[string]string{
				"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": plain,
				"prod/kustomization.yaml": "resources: [../base, b.yaml]\n", "prod/b.yaml": db,
			},
			paths: []string{"prod"},
			want:  map[string][]string{"prod/b.yaml": {"  updateStrategy:\n"}},
			says:  []string{"its file is not among those that you named"},
		},
		{
			name: "two StatefulSets with the same missing Service", files: map[string]string{"a.yaml": join(db, statefulSet("db2", "", "serviceName: db"))},
			want: map[string][]string{"a.yaml": {"name: db2"}}, says: []string{"Service db is missing, and StatefulSet db2 names it too"},
		},
		{
			name: "a budget that would also select other Pods", files: map[string]string{"a.yaml": join(three, service("db", "", "None"),
				"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {selector: {matchLabels: {app: db, part: web}}, template: {metadata: {labels: {app: db, part: web}}}}\n")},
			says: []string{"its selector selects the Pods of Deployment web too"},
		},
		{
			name: "a Service whose cluster IP a container reads", files: map[string]string{"a.yaml": join(three, plain, budget("db", "")),
				"b.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: load}\nspec: {template: {spec: {containers: [{name: load, args: [\"--to=$(DB_SERVICE_HOST)\"]}]}}}\n"},
			says: []string{"b.yaml needs its cluster IP"},
		},
		{
			name: "a Service that the API server calls", files: map[string]string{"a.yaml": join(three, plain, budget("db", "")),
				"b.yaml": "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata:\n  name: v1.db.example.com\nspec:\n  service:\n    name: db\n    namespace: shop\n"},
			says: []string{"b.yaml needs its cluster IP"},
		},
		{name: "a path that does not exist", paths: []string{"nowhere"}, says: []string{"error nowhere: cannot be read"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, folder, tc.files)
			t.Chdir(folder)
			if tc.paths == nil {
				tc.paths = []string{"."}
			}
			fixes, got := fix(t, j, tc.paths...)
			changed := map[string]bool{}
			for _, f := range fixes.Files {
				changed[f.Name] = true
				for _, part := range tc.want[f.Name] {
					if strings.Count(string(f.After), part) != 1 {
						t.Errorf("%s has not, or not once:\n%s\nin\n%s", f.Name, part, f.After)
					}
				}
				if len(tc.want[f.Name]) == 0 {
					t.Errorf("%s changes:\n%s", f.Name, f.Diff())
				}
			}
			for name := range tc.want {
				if !changed[name] {
					t.Errorf("%s does not change:\n%s", name, got)
				}
			}
			for _, part := range tc.says {
				if !strings.Contains(got, part) {
					t.Errorf("no %q in\n%s", part, got)
				}
			}
			unchanged(t, j, tc.paths...)
		})
	}
}

// TestFixWrite writes through a link, and keeps the mode.
func TestFixWrite(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.yaml", []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.yaml", "link.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := (FixedFile{Name: "link.yaml", After: []byte("new")}).Write(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat("a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile("a.yaml")
	if link, err := os.Readlink("link.yaml"); err != nil || link != "a.yaml" || string(data) != "new" || info.Mode().Perm() != 0o640 {
		t.Errorf("link %q, %v; data %q; mode %v", link, err, data, info.Mode())
	}
	if left, _ := filepath.Glob(".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFixCorpus fixes copies of real charts' manifests.
func TestFixCorpus(t *testing.T) {
	corpus, err := filepath.Glob(filepath.Join(os.Getenv("MOORING_CORPUS"), "*.yaml"))
	if os.Getenv("MOORING_CORPUS") == "" || err != nil || len(corpus) == 0 {
		t.Skip("MOORING_CORPUS names no folder of manifests")
	}
	j := fixing(t)
	made := 0
	for _, name := range corpus {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			write(t, ".", map[string]string{"a.yaml": string(data)})
			was := Loader{}.Load("a.yaml").Judge(j)
			before := len(was.Findings)
			fixes, got := fix(t, j, "a.yaml")
			if len(fixes.Errors) > 0 {
				t.Error(fixes.Errors)
			}
			made += len(fixes.Made)
			mended := 0
			for _, r := range fixes.Made {
				if r.Rule == "headless-service" || r.Rule == "disruption-budget" {
					mended++
				}
			}
			is := Loader{}.Load("a.yaml").Judge(j)
			if denials(is) > denials(was) {
				t.Errorf("%d denials before, %d after:\n%s", denials(was), denials(is), got)
			}
			if after := len(is.Findings); mended > 0 && after >= before || after > before {
				t.Errorf("%d findings before, %d after:\n%s", before, after, got)
			}
			for line := range strings.Lines(got) {
				gone, ok := strings.CutPrefix(line, "-")
				before, _, _ := strings.Cut(gone, "}")
				if ok && !strings.HasPrefix(line, "---") && !strings.Contains(got, "+"+before) {
					t.Errorf("a line is gone, and does not come back with more between its braces: %s", line)
				}
			}
			unchanged(t, j, "a.yaml")
		})
	}
	t.Logf("%d changes in %d files", made, len(corpus))
}

func denials(r report.Report) int {
	return len(slices.DeleteFunc(slices.Clone(r.Findings), func(f report.Finding) bool { return f.Action != v1alpha1.Deny }))
}

// FuzzFixDenies fixes two workloads with Services, and checks that check denies no more afterwards: with one or two Services,
// shared labels or not, translated ports, types that cannot be headless, and an existing budget.
func FuzzFixDenies(f *testing.F) {
	for bits := range uint16(512) {
		f.Add(bits * 127)
	}
	var by []*policies.Set
	for _, profile := range []string{"baseline", "restricted"} {
		set, err := policies.Compile(rules.All, nil, profile)
		if err != nil {
			f.Fatal(err)
		}
		by = append(by, set)
	}
	f.Fuzz(func(t *testing.T, bits uint16) {
		next := func(of ...string) string {
			n := int(bits) % len(of)
			bits /= uint16(len(of))
			return of[n]
		}
		selects := next("app: db", "app: db, part: a")
		labels := next("app: db, part: a", "app: db, part: a, tier: data")
		other := next("app: db, part: b", "app: db", "app: web")
		set := func(name, service, selector, labels string) string {
			return fmt.Sprintf("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: %s}\nspec:\n  serviceName: %s\n  replicas: 3\n  selector: {matchLabels: {%s}}\n"+
				"  template:\n    metadata: {labels: {%s}}\n    spec: {containers: [{name: db, image: db, ports: [{name: db, containerPort: 5432}]}]}\n", name, service, selector, labels)
		}
		text := join(set("one", "db", selects, labels), set("two", next("db", "two"), other, other),
			next("", "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec:\n  type: "+next("ClusterIP", "NodePort", "LoadBalancer")+
				"\n  selector: {"+next("app: db", "part: a", "app: web")+"}\n  ports: [{port: 5432, targetPort: "+next("5432", "db", "1")+"}]\n"),
			next("", budget("one", "")))
		for i, policies := range by {
			read := func(data string) *Set {
				file := &File{Name: "a.yaml", Folder: ".", Data: []byte(data), fixable: true}
				s := &Set{Files: []*File{file}, all: []*File{file}}
				s.Objects, s.Errors = file.decode()
				return s
			}
			j := Judgement{Policies: policies, Complete: bits%2 == 0}
			was, is := denials(read(text).Judge(j)), 0
			for _, fixed := range read(text).Fix(j).Files {
				if is = denials(read(string(fixed.After)).Judge(j)); is > was {
					t.Fatalf("profile %d: %d denials before, %d after:\n%s\nof\n%s", i, was, is, fixed.Diff(), text)
				}
			}
		}
	})
}

// FuzzFix fixes any text, and checks that each document means the same as before, except for fields that fix sets and objects that
// it adds.
func FuzzFix(f *testing.F) {
	files, err := filepath.Glob("testdata/fix/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add([]byte(strings.TrimSpace(strings.ReplaceAll(string(data), "\n", "\r\n"))))
	}
	j := fixing(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(data []byte) *Set {
			file := &File{Name: "a.yaml", Folder: ".", Data: data, fixable: true}
			set := &Set{Files: []*File{file}}
			set.Objects, set.Errors = file.decode()
			return set
		}
		set := read(data)
		was := everything(set.Files[0])
		for _, fixed := range set.Fix(j).Files {
			again := read(fixed.After)
			is := everything(again.Files[0])
			at := 0
			for _, document := range was {
				for at < len(is) && !reflect.DeepEqual(stripped(document), stripped(is[at])) {
					if !added(is[at]) {
						t.Fatalf("a document is neither an old one nor one that was added: %v", is[at])
					}
					at++
				}
				at++
			}
			if at > len(is) {
				t.Fatalf("a document is gone:\n%s", fixed.Diff())
			}
			for ; at < len(is); at++ {
				if !added(is[at]) {
					t.Fatalf("a document is neither an old one nor one that was added: %v", is[at])
				}
			}
			if twice := again.Fix(j).Files; len(twice) > 0 {
				t.Fatalf("a second time it changes:\n%s", twice[0].Diff())
			}
		}
	})
}

// everything returns the meaning of each document of a file, or its text if it cannot be read.
func everything(f *File) []any {
	var all []any
	for _, c := range f.chunks() {
		says, err := meaning(f.Data[c.start:c.end])
		if err != nil {
			says = strings.TrimSpace(string(f.Data[c.start:c.end]))
		}
		all = append(all, says)
	}
	return all
}

// stripped returns a copy of a document without the fields that fix may set.
func stripped(document any) any {
	switch d := document.(type) {
	case map[string]any:
		copied := map[string]any{}
		for key, value := range d {
			copied[key] = stripped(value)
		}
		if spec, ok := copied["spec"].(map[string]any); ok {
			switch copied["kind"] {
			case "Service":
				if ip := spec["clusterIP"]; ip == "None" || ip == "" || ip == nil {
					delete(spec, "clusterIP")
				}
			case "StatefulSet":
				delete(spec, "updateStrategy")
				delete(spec, "persistentVolumeClaimRetentionPolicy")
			}
			if len(spec) == 0 {
				copied["spec"] = nil
			}
		}
		if copied["spec"] == nil {
			delete(copied, "spec")
		}
		return copied
	case []any:
		copied := []any{}
		for _, value := range d {
			copied = append(copied, stripped(value))
		}
		return copied
	}
	return document
}

// added reports whether fix adds documents of this kind.
func added(document any) bool {
	d, ok := document.(map[string]any)
	return ok && (d["kind"] == "Service" || d["kind"] == "PodDisruptionBudget")
}
