package policies

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// Fix is the edit that mends a finding, as data: mooring fix writes it, and the remedy's command comes from it.
type Fix struct {
	// Object is what is edited.
	Object kinds.Object
	// Set are the fields to set, in the form spec.a.b, a list's items as spec.a[0].b.
	Set []Setting
}

// Setting is a field with the value that mends it; nil takes the field away.
type Setting struct {
	Path  string
	Value any
}

// remedy is what a person types: the command, after why or when to use it.
func (f Fix) remedy(before string) string {
	if before != "" {
		before += " "
	}
	switch command := f.command(); {
	case command != "":
		return before + command
	default:
		var edits []string
		for _, s := range f.Set {
			edits = append(edits, fmt.Sprintf("set %s: %v", s.Path, s.Value))
		}
		return before + strings.Join(edits, ", ")
	}
}

// command is a kubectl command that does what the fix says, or nothing where none does without the manifest: a merge patch
// cannot reach into a list.
func (f Fix) command() string {
	patch := map[string]any{}
	for _, s := range f.Set {
		if strings.Contains(s.Path, "[") || unstructured.SetNestedField(patch, s.Value, strings.Split(s.Path, ".")...) != nil {
			return ""
		}
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s patch %s %s --type=merge -p '%s'", Kubectl(f.Object), kinds.Of(f.Object).Singular(), f.Object.GetName(), text)
}

// Kubectl is the beginning of a command about what is in the object's namespace.
func Kubectl(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return "kubectl"
	}
	return "kubectl -n " + o.GetNamespace()
}

// BypassCommand is the command by which somebody who knows what a rule cannot know asks to be let through.
func BypassCommand(rule string, o kinds.Object) string {
	return fmt.Sprintf("%s annotate %s %s %s=%s %s='<why>'", Kubectl(o), kinds.Of(o).Singular(), o.GetName(), BypassAnnotation, rule, BypassReasonAnnotation)
}
