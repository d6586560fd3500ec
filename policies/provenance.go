package policies

import (
	"encoding/json"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// provenance shows which fields the user wrote. The API server sets defaults before admission, so a value that equals the default
// shows nothing. What the client sent is recorded in three other places. All come from the client: they are a hint about intent,
// and never part of an access decision.
type provenance struct {
	keep        []string
	applied     []map[string]any
	lastApplied map[string]any
	edited      []map[string]any
	// told means that the client records what it sends.
	told bool
}

func provenanceOf(ch Change) provenance {
	o := ch.New
	p := provenance{keep: list(o.GetAnnotations()[KeepAnnotation])}
	sent := o.GetAnnotations()[corev1.LastAppliedConfigAnnotation]
	// An annotation that does not decode shows nothing.
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
			// The creator owns the immutable fields, and every default with them. An apply also resets omitted fields to the API's
			// default.
		case entry.Manager != "kubectl-replace":
			// A later change of a field is intended, unless the whole object was replaced: that resets omitted fields to the API's
			// default. Only the manager's name distinguishes a PUT from a PATCH.
			p.edited = append(p.edited, owned)
		}
	}
	return p
}

// spoke reports whether the user wrote the field, or opted out of this rule's defaults.
func (p provenance) spoke(rule, path string) bool {
	owned := func(set map[string]any) bool { return owns(set, path) }
	return slices.Contains(p.keep, rule) ||
		slices.ContainsFunc(p.applied, owned) ||
		wrote(p.lastApplied, path) ||
		slices.ContainsFunc(p.edited, owned)
}

// owns reports whether a managedFields entry has the field, nested as {"f:spec":{"f:replicas":{}}}.
func owns(set map[string]any, path string) bool {
	return descends(set, path, "f:")
}

// wrote reports whether a manifest has the field.
func wrote(manifest map[string]any, path string) bool {
	return descends(manifest, path, "")
}

func descends(tree map[string]any, path, prefix string) bool {
	for name := range strings.SplitSeq(path, ".") {
		next, ok := tree[prefix+name]
		if !ok || next == nil {
			// To the API server, null means absent.
			return false
		}
		tree, _ = next.(map[string]any)
	}
	return true
}

// list splits an annotation's value at commas.
func list(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
