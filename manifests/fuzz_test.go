package manifests

import (
	"testing"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
)

// FuzzDecode says that no file makes the loader or the rules panic or run for ever, and that every object and every error
// has a place within the file.
func FuzzDecode(f *testing.F) {
	f.Add(statefulSet("db", "shop", "serviceName: db", "replicas: 3"))
	f.Add("apiVersion: v1\nkind: List\nitems:\n- " + `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}}`)
	f.Add(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}{"kind":"Service"}`)
	f.Add("a: &a [*a]\nkind: Service\napiVersion: v1\nmetadata: {<<: *a, name: x}\n")
	f.Add("a: &a {<<: *a}\nkind: Service\napiVersion: v1\nmetadata: *a\n")
	f.Add("%YAML 1.1\n--- {kind: StatefulSet, apiVersion: apps/v1, metadata: {name: a}}\n...\n# Source: a/b\n")
	f.Add("? kind\n: StatefulSet\n\ufeffapiVersion: apps/v1\r\nmetadata: {name: a}\rspec: {replicas: 0x7fffffff}")
	set, err := policies.Compile(rules.All, nil, "restricted")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := &File{Name: "a.yaml", Folder: ".", Data: []byte(text)}
		objects, errs := file.decode()
		if len(file.Documents) > objects {
			t.Errorf("%d documents of %d objects", len(file.Documents), objects)
		}
		last := 1
		for _, b := range file.Data {
			if b == '\n' || b == '\r' {
				last++
			}
		}
		for _, e := range errs {
			if e.Position.Line < 1 || e.Position.Line > last {
				t.Errorf("an error on line %d of %d: %s", e.Position.Line, last, e.Message)
			}
		}
		short := &File{Name: "a.yaml", Folder: ".", Data: []byte(text), sparse: true}
		if short.decode(); len(short.Documents) != len(file.Documents) {
			t.Errorf("%d documents, and sparse %d", len(file.Documents), len(short.Documents))
		}
		for _, d := range file.Documents {
			for _, path := range []string{"", "spec.replicas", "spec.volumeClaimTemplates[0].spec", "metadata.name"} {
				if p := d.Position(path); p.Line < 1 || p.Line > last || p.Column < 1 {
					t.Errorf("%s is at %+v of %d lines", path, p, last)
				}
				d.Lines(path)
			}
		}
		(&Set{Files: []*File{file}, Objects: objects}).Judge(Judgement{Policies: set, Complete: true})
	})
}
