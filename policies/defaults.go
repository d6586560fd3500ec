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

// Filled is what the policies' defaults did to an object.
type Filled struct {
	// Fields were filled in; Reported would have been, by policies that only audit.
	Fields, Reported []FilledField
	// Patch is the RFC 6902 patch that does it, empty where there is nothing to fill in.
	Patch []Operation
}

// FilledField is one field with its default and whose it is.
type FilledField struct {
	Path, Rule, Policy string
	Value              any
}

// String is the warning for whoever changed something else of an object that runs, in at most MaxWarning characters.
func (f FilledField) String() string {
	return cut(fmt.Sprintf("%s: %s is set to %v by the default of policy %s, because the manifest leaves it out. To keep your own value, annotate it: %s=%s",
		f.Rule, f.Path, f.Value, f.Policy, KeepAnnotation, f.Rule), MaxWarning)
}

// Operation is an operation of a JSON patch. It is always "add", which replaces what is there.
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Defaults is what a rule fills fields in through: it knows where the user was silent and who was first.
type Defaults struct {
	Filled
	// Object is a shallow copy: rules may put other parts in it, and leave alone what its pointers and slices point to.
	Object kinds.Object
	// Creating tells that the object is new, so that nothing relies on its values yet. A file does not say whether it is.
	Creating bool

	// meant is worked out where it is asked for: most objects have nothing that a default could go to.
	meant        func() provenance
	rule, policy string
	report       bool
	settled      map[string]bool
}

// Told tells whether the client that wrote the object says what its owner wrote, so that silence is known to be silence. Who does
// not (Helm without server-side apply, kubectl create) may have written the API's default and cannot say so.
func (d *Defaults) Told() bool { return d.meant().told }

// Wrote tells whether the user wrote the field, or asked to be spared this rule's defaults.
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
	// No rule has defaults for other kinds.
	return o
}

// Fill sets the field at path to want where the user left it at the API's default, and tells whether it did. The zero
// value of want asks for nothing. The first policy to have a say about a field settles it.
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

// Put writes the whole of a changed structure into the patch. Its path has no character that JSON pointers escape.
func (d *Defaults) Put(path string, value any) {
	pointer := "/" + strings.ReplaceAll(path, ".", "/")
	if i := slices.IndexFunc(d.Patch, func(o Operation) bool { return o.Path == pointer }); i >= 0 {
		d.Patch[i].Value = value
		return
	}
	d.Patch = append(d.Patch, Operation{Op: "add", Path: pointer, Value: value})
}
