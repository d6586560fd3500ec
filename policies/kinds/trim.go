package kinds

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Trim takes from the object what no rule reads: the fields that its row does not keep, and of its metadata the managedFields
// and most annotations. It changes the object, so the caller must own it.
//
// Every reader that holds objects for longer than one request trims them, and every rule's cases are judged trimmed and whole:
// a rule that reads one more field adds it to the row, or its cases fail.
func Trim(o Object) {
	k := Of(o)
	if k == nil {
		return
	}
	k.trim.apply(reflect.ValueOf(o).Elem())
	if !slices.Contains(k.keeps, "metadata.annotations") {
		o.SetAnnotations(ours(o.GetAnnotations()))
	}
	if slices.Contains(k.keeps, "metadata.managedFields") {
		o.SetManagedFields(makers(o.GetManagedFields()))
	} else {
		o.SetManagedFields(nil)
	}
}

// ours are Mooring's own annotations and those by which Helm knows what it installed.
func ours(all map[string]string) map[string]string {
	var kept map[string]string
	for name, value := range all {
		if strings.HasPrefix(name, "mooring.dev/") || strings.HasPrefix(name, "meta.helm.sh/") {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = value
		}
	}
	return kept
}

// made is the one field that only the maker of a claim owns, as it can never change.
var made = metav1.NewFieldsV1(`{"f:spec":{"f:accessModes":{}}}`)

// makers returns of the entries those that say who made a claim.
func makers(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range entries {
		if MadeClaim(entry) {
			kept = append(kept, metav1.ManagedFieldsEntry{
				Manager: entry.Manager, Operation: entry.Operation, FieldsType: entry.FieldsType, FieldsV1: made,
			})
		}
	}
	return kept
}

// MadeClaim tells whether the entry is that of the claim's maker, and not of its binder, which writes to it too.
func MadeClaim(entry metav1.ManagedFieldsEntry) bool {
	var owned struct {
		Spec struct {
			AccessModes any `json:"f:accessModes"`
		} `json:"f:spec"`
	}
	return entry.Subresource == "" && entry.FieldsV1 != nil &&
		json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) == nil && owned.Spec.AccessModes != nil
}

// trim says which fields of a Go struct are dropped, and which are trimmed in turn. Fields are named by their index.
type trim struct {
	drop [][]int
	into []step
}

type step struct {
	field []int
	trim  trim
}

// compile makes a trim that keeps these fields of the type, named as in YAML: spec.replicas. A list is named as what it holds.
// Kind and apiVersion stay. It panics where the type has no such field: a row with a typing error would drop what rules read.
func compile(t reflect.Type, keeps []string) trim {
	below := map[string][]string{"kind": {""}, "apiVersion": {""}}
	for _, path := range keeps {
		name, rest, _ := strings.Cut(path, ".")
		below[name] = append(below[name], rest)
	}
	var tr trim
	known := map[string]bool{"kind": true, "apiVersion": true}
	for _, f := range reflect.VisibleFields(t) {
		name := jsonName(f)
		if name == "" || len(f.Index) > 1 && jsonName(t.FieldByIndex(f.Index[:1])) != "" {
			// An inlined struct, whose fields come by themselves; or a field of an embedded one that has a name.
			continue
		}
		known[name] = true
		switch paths := below[name]; {
		case len(paths) == 0:
			tr.drop = append(tr.drop, f.Index)
		case !slices.Contains(paths, ""):
			tr.into = append(tr.into, step{f.Index, compile(element(f.Type), paths)})
		}
	}
	for name := range below {
		if !known[name] {
			panic(fmt.Sprintf("kinds: %s has no field %s", t, name))
		}
	}
	return tr
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// element is the struct that a field holds, points to, or lists.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

func (tr trim) apply(v reflect.Value) {
	for _, field := range tr.drop {
		v.FieldByIndex(field).SetZero()
	}
	for _, s := range tr.into {
		s.trim.each(v.FieldByIndex(s.field))
	}
}

func (tr trim) each(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			tr.each(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			tr.each(v.Index(i))
		}
	default:
		tr.apply(v)
	}
}
