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

// kind is a kind that files may have: a row of the table, or one that rules do not read themselves.
type kind struct {
	group string
	new   func() kinds.Object
	// hint is a word that a document of the kind must contain to be decoded.
	hint string
	// clusterScoped means that the kind has no namespace.
	clusterScoped bool
}

// known are the kinds by name. Rules read the rows of the table. Pods and nodes are not read from files; volumes are, because
// people create them by hand.
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

// hints avoid decoding objects without findings.
var hints = map[*kinds.Kind]string{kinds.Deployment: "persistentVolumeClaim", kinds.HorizontalPodAutoscaler: "StatefulSet"}

// lookUp returns the kind with this name in apiVersion's group, if rules read it. The fields that they read are the same in all
// versions of a group.
func lookUp(apiVersion, name string) (kind, bool) {
	k, ok := known[name]
	gv, err := schema.ParseGroupVersion(apiVersion)
	if gv.WithKind(name).GroupKind() == kinds.Advanced.GroupKind() {
		return kind{group: gv.Group, new: kinds.Advanced.New}, true
	}
	return k, ok && err == nil && gv.Group == k.group
}

// isList reports whether the kind is a list.
func isList(name string) bool { return strings.HasSuffix(name, "List") }

// Reads reports whether rules may read objects of the kind, or whether its name is close to such a kind's.
func Reads(kind string) bool { return isList(kind) || almost(kind) != "" }

// worthDecoding reports whether rules may read something in this document.
func (d *decoder) worthDecoding(name string) bool {
	k, ok := known[name]
	return isList(name) || ok && (d.entire || bytes.Contains(d.text, []byte(k.hint)))
}

// sniff reads the kind of a document from its lines, and reports whether that is certain: it is the only key with this name at the
// beginning of a line, and nothing there could be another way to write it.
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

// scales returns the kind and name of an autoscaler's target.
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

// gvkOf returns the kind that the rules judge the object as: its kind in the version of its Go type.
func gvkOf(o kinds.Object, apiVersion, name string) schema.GroupVersionKind {
	if k := kinds.Of(o); k != nil && !kinds.IsAdvanced(o) {
		return k.GroupVersionKind
	}
	return schema.FromAPIVersionAndKind(apiVersion, name)
}
