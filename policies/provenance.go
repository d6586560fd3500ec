package policies

import (
	"encoding/json"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// provenance tells which fields the user wrote. The API server fills in its defaults before admission, so a value that
// equals the API's default says nothing by itself; what a client sent is kept in three other places. All three come from
// the client in the end: this is a hint about intent, and nothing that keeps anybody out may rest on it.
type provenance struct {
	keep        []string
	applied     []map[string]any
	lastApplied map[string]any
	edited      []map[string]any
	// told tells that the client keeps what it sent at all.
	told bool
}

func provenanceOf(ch Change) provenance {
	o := ch.New
	p := provenance{keep: list(o.GetAnnotations()[KeepAnnotation])}
	sent := o.GetAnnotations()[corev1.LastAppliedConfigAnnotation]
	// What does not decode tells nothing.
	_ = json.Unmarshal([]byte(sent), &p.lastApplied)
	p.told = p.lastApplied != nil
	appliedNow := ch.Old != nil && sent != "" && sent != ch.Old.GetAnnotations()[corev1.LastAppliedConfigAnnotation]

	for _, entry := range o.GetManagedFields() {
		if entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var owned map[string]any
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) != nil {
			continue
		}
		switch {
		case entry.Operation == metav1.ManagedFieldsOperationApply:
			p.applied = append(p.applied, owned)
			p.told = true
		case ch.Operation == admissionv1.Create || appliedNow || owns(owned, "spec.selector"):
			// Who created the object owns its immutable fields, and every default with them. An apply, too, makes what it
			// is silent about the API's default again.
		case entry.Manager != "kubectl-replace":
			// Who changed the field later meant to, unless a whole manifest took the place of the object: what that is
			// silent about is the API's default again. A review does not tell a PATCH from a PUT, the manager's name does.
			p.edited = append(p.edited, owned)
		}
	}
	return p
}

// spoke tells whether the user wrote the field, or asked to be spared this rule's defaults.
func (p provenance) spoke(rule, path string) bool {
	owned := func(set map[string]any) bool { return owns(set, path) }
	return slices.Contains(p.keep, rule) ||
		slices.ContainsFunc(p.applied, owned) ||
		wrote(p.lastApplied, path) ||
		slices.ContainsFunc(p.edited, owned)
}

// owns tells whether a managedFields entry has the field, in the nested form {"f:spec":{"f:replicas":{}}}.
func owns(set map[string]any, path string) bool {
	return descends(set, path, "f:")
}

// wrote tells whether a manifest holds the field.
func wrote(manifest map[string]any, path string) bool {
	return descends(manifest, path, "")
}

func descends(tree map[string]any, path, prefix string) bool {
	for name := range strings.SplitSeq(path, ".") {
		next, ok := tree[prefix+name]
		if !ok || next == nil {
			// To the API server, null is as good as absent.
			return false
		}
		tree, _ = next.(map[string]any)
	}
	return true
}

// list splits the value of an annotation that holds names separated by commas.
func list(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
