package policies

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// Filled is the result of the policies' defaults for an object.
type Filled struct {
	// Fields were filled in. Reported are the fields that policies in mode Audit would have filled in.
	Fields, Reported []FilledField
	// Patch is the RFC 6902 patch that fills them in, empty if there is nothing to fill in.
	Patch []Operation
}

// FilledField is a field with its default value and the policy that gave it.
type FilledField struct {
	Path, Rule, Policy string
	Value              any
}

// String is the warning for a user whose update changed other fields of an existing object, at most MaxWarning characters.
func (f FilledField) String() string {
	return cut(fmt.Sprintf("%s: %s is set to %v by the default of policy %s, because the manifest leaves it out. To keep your own value, annotate it: %s=%s",
		f.Rule, f.Path, f.Value, f.Policy, KeepAnnotation, f.Rule), MaxWarning)
}

// Operation is a JSON patch operation. It is always "add", which also replaces.
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Defaults fills in fields for a rule. It knows which fields the user set, and the first policy for each field wins.
type Defaults struct {
	Filled
	// Object is a shallow copy. Rules may replace its parts, but must not change what its pointers and slices refer to.
	Object kinds.Object
	// Creating means that the object is new, so that nothing relies on its values yet. A file does not show this.
	Creating bool

	// meant is computed on first use: most objects have no field that a default applies to.
	meant        func() provenance
	rule, policy string
	report       bool
	settled      map[string]bool
}

// Told reports whether the client recorded the fields that the user wrote, so that a field it did not record is not set. Helm
// without server-side apply and kubectl create record nothing: they may have written the API's default value.
func (d *Defaults) Told() bool { return d.meant().told }

// Wrote reports whether the user wrote the field, or opted out of this rule's defaults.
func (d *Defaults) Wrote(path string) bool { return d.meant().spoke(d.rule, path) }

func newDefaults(ch Change) *Defaults {
	return &Defaults{
		Object:   shallowCopy(ch.New),
		Creating: ch.Old == nil && !ch.InFiles,
		meant:    sync.OnceValue(func() provenance { return provenanceOf(ch) }),
		settled:  map[string]bool{},
	}
}

func shallowCopy(o kinds.Object) kinds.Object {
	switch o := o.(type) {
	case *appsv1.StatefulSet:
		return ptr.To(*o)
	case *corev1.PersistentVolume:
		return ptr.To(*o)
	}
	// Rules have defaults for no other kind.
	return o
}

// Fill sets the field at path to want if the user left it at the API's default, and reports whether it did. A zero want does
// nothing. The first policy that sets a field wins.
func Fill[T comparable](d *Defaults, path string, at *T, want, apiDefault T) bool {
	var nothing T
	if want == nothing || d.settled[path] {
		return false
	}
	if *at == want || *at != apiDefault || d.Wrote(path) {
		d.settled[path] = true
		return false
	}
	filled := FilledField{Path: path, Rule: d.rule, Policy: d.policy, Value: want}
	if d.report {
		d.Reported = append(d.Reported, filled)
		return false
	}
	*at = want
	d.settled[path] = true
	d.Fields = append(d.Fields, filled)
	return true
}

// Put adds a whole changed struct to the patch. Its path must contain no character that JSON pointers escape.
func (d *Defaults) Put(path string, value any) {
	pointer := "/" + strings.ReplaceAll(path, ".", "/")
	if i := slices.IndexFunc(d.Patch, func(o Operation) bool { return o.Path == pointer }); i >= 0 {
		d.Patch[i].Value = value
		return
	}
	d.Patch = append(d.Patch, Operation{Op: "add", Path: pointer, Value: value})
}
