// Package ruletest reads and plays tests of policies: for mooring test, and for the rules' own tests, examples and messages.
package ruletest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/crd"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Kind is the kind of a test file.
const Kind = "PolicyTest"

// File is a test file: its cases, and what they share.
type File struct {
	metav1.TypeMeta `json:",inline"`
	// policies are the files with the StatefulPolicies to test, relative to this file.
	Policies []string `json:"policies,omitempty"`
	// profile is the profile of the namespaces: off, baseline or restricted. Defaults to off, so that only the policies judge.
	Profile string `json:"profile,omitempty"`
	// rule is the ID of a rule to test by itself, instead of policies. Each case has its block.
	Rule string `json:"rule,omitempty"`
	// objects are files with manifests, relative to this file. A case writes an object as the difference from the manifest of its
	// kind and name, or else from the first of its kind. Without objects, cases write whole objects.
	Objects []string `json:"objects,omitempty"`
	// given are objects that exist in every case.
	Given []Manifest `json:"given,omitempty"`
	// cases are the cases to play.
	Cases []Case `json:"cases"`

	name     string
	rule     policies.Rule
	policies []v1alpha1.StatefulPolicy
	base     []Manifest
}

// Name returns the path of the file.
func (f *File) Name() string { return f.name }

// Reads returns the paths of the file and of the files that it names.
func (f *File) Reads() []string {
	all := []string{f.name}
	for _, name := range slices.Concat(f.Policies, f.Objects) {
		all = append(all, f.beside(name))
	}
	return all
}

func (f *File) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.name), name)
}

// Find returns the test files among the paths: each file, and those of the kind PolicyTest in each folder.
func Find(paths []string) ([]string, error) {
	var found []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case name == path && !entry.IsDir():
				found = append(found, name)
				return nil
			case entry.IsDir() && name != path && strings.HasPrefix(entry.Name(), "."):
				return filepath.SkipDir
			case entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
				return nil
			}
			data, err := os.ReadFile(name)
			if err == nil && declares(data) {
				found = append(found, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// declares reports whether the text looks like a test file, before it is parsed.
func declares(text []byte) bool {
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("kind:")) && bytes.Contains(line, []byte(Kind)) || bytes.Contains(line, []byte(`"kind": "`+Kind+`"`)) {
			return true
		}
	}
	return false
}

// Load reads a test file and the files that it names. Its errors begin with the file and the line.
func Load(name string) (*File, error) {
	documents, err := documentsOf(name)
	if err != nil {
		return nil, err
	}
	if len(documents) != 1 {
		return nil, &Error{File: name, Err: fmt.Errorf("it has %d documents. Fix: write one document per test file", len(documents))}
	}
	f, doc := &File{name: name}, documents[0]
	if err := doc.decode(f); err != nil {
		// The decoder may not say which item of a list an error is in.
		for _, item := range doc.items("cases") {
			if err := item.decode(new(Case)); err != nil {
				return nil, err
			}
		}
		return nil, err
	}
	if f.APIVersion != v1alpha1.GroupVersion.String() || f.Kind != Kind {
		return nil, doc.errorAt("kind", fmt.Errorf("it is a %s of %s. Fix: write apiVersion: %s and kind: %s", f.Kind, f.APIVersion, v1alpha1.GroupVersion, Kind))
	}
	if err := f.complete(doc); err != nil {
		return nil, err
	}
	for i := range f.Cases {
		c := &f.Cases[i]
		c.file, c.line = f, doc.lineOf(fmt.Sprintf("cases[%d]", i))
		if at, err := c.valid(); err != nil {
			return nil, doc.errorAt(fmt.Sprintf("cases[%d].%s", i, at), err)
		}
	}
	return f, nil
}

// complete reads the files that the file names.
func (f *File) complete(doc document) error {
	switch {
	case len(f.Cases) == 0:
		return doc.errorAt("cases", errors.New("it has no cases"))
	case f.Rule == "" && len(f.Policies) == 0 && (f.Profile == "" || f.Profile == policies.ProfileOff):
		return doc.errorAt("", errors.New("it tests nothing. Fix: add policies, a profile, or a rule"))
	case f.Rule != "" && len(f.Policies) > 0:
		return doc.errorAt("rule", errors.New("use either rule or policies"))
	case f.Profile != "" && !slices.Contains(policies.Profiles, f.Profile):
		return doc.errorAt("profile", fmt.Errorf("%q is not a profile. Fix: use %s", f.Profile, strings.Join(policies.Profiles, ", ")))
	}
	if f.Rule != "" {
		var ok bool
		if f.rule, ok = policies.Find(rules.All, f.Rule); !ok {
			return doc.errorAt("rule", policies.UnknownRule(rules.All, f.Rule))
		}
	}
	for i, name := range f.Policies {
		if err := f.readPolicies(f.beside(name)); err != nil {
			return doc.errorAt(fmt.Sprintf("policies[%d]", i), err)
		}
	}
	for i, name := range f.Objects {
		if err := f.readObjects(f.beside(name)); err != nil {
			return doc.errorAt(fmt.Sprintf("objects[%d]", i), err)
		}
	}
	return nil
}

func (f *File) readPolicies(name string) error {
	documents, err := documentsOf(name)
	if err != nil {
		return err
	}
	n := len(f.policies)
	for _, doc := range documents {
		if doc.kind() != "StatefulPolicy" {
			continue
		}
		var policy v1alpha1.StatefulPolicy
		if err := doc.decode(&policy); err != nil {
			return err
		}
		refused, err := crd.Refused(&policy)
		if err != nil {
			return doc.errorAt("spec", err)
		}
		for _, wrong := range refused {
			return doc.errorAt(wrong.Field, wrong)
		}
		f.policies = append(f.policies, policy)
	}
	if len(f.policies) == n {
		return fmt.Errorf("there is no StatefulPolicy of %[2]s in %[1]s", name, v1alpha1.GroupVersion)
	}
	return nil
}

func (f *File) readObjects(name string) error {
	documents, err := documentsOf(name)
	if err != nil {
		return err
	}
	for _, doc := range documents {
		var m Manifest
		if err := doc.decode(&m); err != nil {
			return err
		}
		if m != nil {
			f.base = append(f.base, m)
		}
	}
	return nil
}
