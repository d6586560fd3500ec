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

// Folder is where the rules' own cases are, a file for each rule.
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

// Each calls do with every case of every rule that is about a request, and not about what stands in a live cluster.
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

// Case reads one more case of the file.
func (f *File) Case(text string) (Case, error) {
	documents, err := parse(f.name, []byte(text))
	if err != nil {
		return Case{}, err
	}
	c := Case{file: f}
	err = documents[0].decode(&c)
	return c, err
}

// ordinary holds the objects that the rules' own cases are the difference from.
var ordinary = sync.OnceValues(func() (*File, error) {
	f := &File{}
	return f, f.readObjects(filepath.Join(Folder(), "base.yaml"))
})

// Object parses a manifest's text and merges it into the ordinary object of its kind; nil for no text.
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
