package ruletest

import (
	"path/filepath"
	"runtime"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
)

// Folder is the folder of the rules' own cases, one file for each rule.
var Folder = sync.OnceValue(func() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "rules", "testdata")
})

// Own returns the test file of the rule.
func Own(rule policies.Rule) (*File, error) {
	return Load(filepath.Join(Folder(), rule.ID+".yaml"))
}

// Of returns the cases of the rule.
func Of(rule policies.Rule) ([]Case, error) {
	f, err := Own(rule)
	if err != nil {
		return nil, err
	}
	return f.Cases, nil
}

// Each calls do with every case of every rule that is a request.
func Each(do func(policies.Rule, Case)) error {
	for _, rule := range rules.All {
		cases, err := Of(rule)
		if err != nil {
			return err
		}
		for _, c := range cases {
			if c.Stands == nil {
				do(rule, c)
			}
		}
	}
	return nil
}

// Case parses a case as if it were in the file.
func (f *File) Case(text string) (Case, error) {
	documents, err := parse(f.name, []byte(text))
	if err != nil {
		return Case{}, err
	}
	c := Case{file: f}
	err = documents[0].decode(&c)
	return c, err
}

// ordinary holds the manifests that the rules' own cases are written as differences from.
var ordinary = sync.OnceValues(func() (*File, error) {
	f := &File{}
	return f, f.readObjects(filepath.Join(Folder(), "base.yaml"))
})

// Object merges a manifest's text into the ordinary object of its kind; nil for an empty text.
func Object(text string) (kinds.Object, error) {
	f, err := ordinary()
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		return nil, err
	}
	return f.object(m)
}
