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

// Fix is the edit that mends a finding, as data: mooring fix writes it, and the remedy's command comes from it.
type Fix struct {
	// Object is what is edited; with Add it is missing, and comes as it is here.
	Object kinds.Object
	Add    bool
	// Set are the fields to set, in the form spec.a.b, a list's items as spec.a[0].b.
	Set []Setting
	// FilesOnly tells that the API server refuses the edit of an object that it has, so that the remedy is another.
	FilesOnly bool
	// Undecided says what a person has to decide first: mooring fix leaves the edit to do.
	Undecided string
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

// command is a kubectl command that does what the fix says, or nothing where none does without the manifest: a merge patch
// cannot reach into a list.
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

// creation is the kubectl command that makes a headless Service, or a PodDisruptionBudget that lets one Pod be away; nothing where
// no selector can be named.
func creation(o kinds.Object) string {
	switch o := o.(type) {
	case *corev1.Service:
		command := fmt.Sprintf("%s create service clusterip %s --clusterip=None", Kubectl(o), o.Name)
		// This is the selector that kubectl gives it.
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

// SelectorCommand has the Service select the Pods with these labels; what to do first where there are none.
func SelectorCommand(service *corev1.Service, selector labels.Set) string {
	if len(selector) == 0 {
		return "label the Pods, and select them by that"
	}
	return fmt.Sprintf("%s set selector service %s '%s'", Kubectl(service), service.Name, selector)
}

// Kubectl is the beginning of a command about what is in the object's namespace.
func Kubectl(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return "kubectl"
	}
	return "kubectl -n " + o.GetNamespace()
}

// Command is the beginning of a kubectl command about the object: kubectl -n shop scale statefulset db.
func Command(verb string, o kinds.Object) string {
	return fmt.Sprintf("%s %s %s %s", Kubectl(o), verb, kinds.Singular(o), o.GetName())
}

// Patch is the command that merges the JSON text into the object.
func Patch(o kinds.Object, text string) string {
	return fmt.Sprintf("%s --type=merge -p '%s'", Command("patch", o), text)
}

// BypassCommand is the command by which somebody who knows what a rule cannot know asks to be let through.
func BypassCommand(rule string, o kinds.Object) string {
	return fmt.Sprintf("%s %s=%s %s='<why>'", Command("annotate", o), BypassAnnotation, rule, BypassReasonAnnotation)
}
