package policies

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// Fix is the edit that fixes a finding, as data. mooring fix writes it, and the remedy's command is made from it.
type Fix struct {
	// Object is the object to edit. With Add, it is the missing object to create.
	Object kinds.Object
	Add    bool
	// Set are the fields to set, as spec.a.b, with list items as spec.a[0].b.
	Set []Setting
	// FilesOnly means that the API server refuses the edit on an existing object, so the remedy is something else.
	FilesOnly bool
	// Undecided is what a person must decide first. mooring fix then leaves the edit undone.
	Undecided string
}

// Setting is a field with its new value; nil removes the field.
type Setting struct {
	Path  string
	Value any
}

// remedy returns the command, after the text that says why or when to use it.
func (f Fix) remedy(before string) string {
	if before != "" {
		before += " "
	}
	if command := f.command(); command != "" {
		return before + command
	}
	if f.Add {
		return before + fmt.Sprintf("create a %s %s", f.Object.GetObjectKind().GroupVersionKind().Kind, f.Object.GetName())
	}
	var edits []string
	for _, s := range f.Set {
		edits = append(edits, fmt.Sprintf("set %s: %v", s.Path, s.Value))
	}
	return before + strings.Join(edits, ", ")
}

// command returns a kubectl command for the fix, or "" if there is none without the manifest: a merge patch cannot change list
// items.
func (f Fix) command() string {
	if f.Add {
		return creation(f.Object)
	}
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
	return Patch(f.Object, string(text))
}

// creation returns the kubectl command that creates a headless Service or a PodDisruptionBudget with maxUnavailable 1, or "" if
// there is no selector to use.
func creation(o kinds.Object) string {
	switch o := o.(type) {
	case *corev1.Service:
		command := fmt.Sprintf("%s create service clusterip %s --clusterip=None", Kubectl(o), o.Name)
		// kubectl sets this selector by itself.
		if selector := labels.Set(o.Spec.Selector); len(selector) > 0 && selector.String() != "app="+o.Name {
			command += " && " + SelectorCommand(o, selector)
		}
		return command
	case *policyv1.PodDisruptionBudget:
		if selector, err := metav1.LabelSelectorAsSelector(o.Spec.Selector); err == nil && !selector.Empty() {
			return fmt.Sprintf("%s create poddisruptionbudget %s --selector='%s' --max-unavailable=%s", Kubectl(o), o.Name, selector, o.Spec.MaxUnavailable)
		}
	}
	return ""
}

// SelectorCommand returns the command that makes the Service select the Pods with these labels or, without labels, what to do
// first.
func SelectorCommand(service *corev1.Service, selector labels.Set) string {
	if len(selector) == 0 {
		return "label the Pods, and select them by that"
	}
	return fmt.Sprintf("%s set selector service %s '%s'", Kubectl(service), service.Name, selector)
}

// Kubectl returns the beginning of a command in the object's namespace.
func Kubectl(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return "kubectl"
	}
	return "kubectl -n " + o.GetNamespace()
}

// Command returns the beginning of a kubectl command on the object: kubectl -n shop scale statefulset db.
func Command(verb string, o kinds.Object) string {
	return fmt.Sprintf("%s %s %s %s", Kubectl(o), verb, kinds.Singular(o), o.GetName())
}

// Patch returns the command that merges the JSON text into the object.
func Patch(o kinds.Object, text string) string {
	return fmt.Sprintf("%s --type=merge -p '%s'", Command("patch", o), text)
}

// BypassCommand returns the command that asks for a bypass, for a user who knows what the rule cannot.
func BypassCommand(rule string, o kinds.Object) string {
	return fmt.Sprintf("%s %s=%s %s='<why>'", Command("annotate", o), BypassAnnotation, rule, BypassReasonAnnotation)
}
