package manifests

import (
	"bytes"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// kind is one that files may hold: a row of the table, or an object that rules do not read themselves.
type kind struct {
	group string
	new   func() kinds.Object
	// hint is a word that a document of the kind must hold to be worth decoding.
	hint string
	// clusterScoped kinds have no namespace.
	clusterScoped bool
}

// known are the kinds by name. Rules judge, or ask for, the rows of the table; Pods and nodes are not read from files, and volumes
// are, as people make them by hand.
var known = func() map[string]kind {
	all := map[string]kind{
		"ScaledObject":   {group: "keda.sh", new: func() kinds.Object { return &unstructured.Unstructured{} }, hint: "StatefulSet"},
		"StatefulPolicy": {group: v1alpha1.GroupVersion.Group, new: func() kinds.Object { return &v1alpha1.StatefulPolicy{} }, clusterScoped: true},
	}
	for _, k := range kinds.All {
		if !k.Live || k == kinds.PersistentVolume {
			all[k.Kind] = kind{group: k.Group, new: k.New, hint: hints[k], clusterScoped: !k.Namespaced}
		}
	}
	return all
}()

// hints spare the decoding of what no rule would say anything of.
var hints = map[*kinds.Kind]string{kinds.Deployment: "persistentVolumeClaim", kinds.HorizontalPodAutoscaler: "StatefulSet"}

// lookUp returns the kind of that name in the group of apiVersion, if rules read it. The fields that they read are the same in
// every version of a group.
func lookUp(apiVersion, name string) (kind, bool) {
	k, ok := known[name]
	gv, err := schema.ParseGroupVersion(apiVersion)
	if gv.WithKind(name).GroupKind() == kinds.Advanced.GroupKind() {
		return kind{group: gv.Group, new: kinds.Advanced.New}, true
	}
	return k, ok && err == nil && gv.Group == k.group
}

// isList reports whether objects of the kind hold others.
func isList(name string) bool { return strings.HasSuffix(name, "List") }

// Reads reports whether rules may read what objects of a kind hold, or whether its name is almost one that they do.
func Reads(kind string) bool { return isList(kind) || almost(kind) != "" }

// worthDecoding reports whether rules may read what a document of this text and kind holds.
func (d *decoder) worthDecoding(name string) bool {
	k, ok := known[name]
	return isList(name) || ok && (d.entire || bytes.Contains(d.text, []byte(k.hint)))
}

// sniff reads the kind of a document off its lines, and whether that can be trusted: it is the one key of that name at the
// beginning of a line, and nothing else there could be another way to write it.
func sniff(text []byte) (name string, sure bool) {
	for line := range bytes.Lines(text) {
		switch {
		case bytes.HasPrefix(line, []byte("kind:")):
			value, _, _ := bytes.Cut(line[len("kind:"):], []byte(" #"))
			word := string(bytes.Trim(bytes.TrimSpace(value), `"'`))
			if sure || !isWord(word) {
				return "", false
			}
			name, sure = word, true
		case bytes.IndexByte([]byte(`"'?<{[!&*`), line[0]) >= 0:
			return "", false
		}
	}
	return name, sure
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') })
}

// scales returns the kind and the name of what the object scales, if it is an autoscaler.
func scales(o kinds.Object) (kind, name string) {
	switch o := o.(type) {
	case *autoscalingv2.HorizontalPodAutoscaler:
		return o.Spec.ScaleTargetRef.Kind, o.Spec.ScaleTargetRef.Name
	case *unstructured.Unstructured:
		kind, _, _ = unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "kind")
		name, _, _ = unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
	}
	return kind, name
}

// gvkOf is what the rules take the object for: its kind in the version of the type it was decoded into.
func gvkOf(o kinds.Object, apiVersion, name string) schema.GroupVersionKind {
	if k := kinds.Of(o); k != nil && !kinds.IsAdvanced(o) {
		return k.GroupVersionKind
	}
	return schema.FromAPIVersionAndKind(apiVersion, name)
}
