package kinds

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Trim removes from the object what no rule reads: the fields that its row does not keep, managedFields, and most annotations. It
// changes the object, so the caller must own it.
//
// Every reader that holds objects for longer than a request trims them. The rules' tests judge each case trimmed and whole, so a
// rule that reads a new field must add it to the row.
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

// ours returns Mooring's annotations and those by which Helm marks what it installed.
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

// made is a field that only the creator of a claim owns, because it is immutable.
var made = metav1.NewFieldsV1(`{"f:spec":{"f:accessModes":{}}}`)

// makers returns the entries that show who created a claim.
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

// MadeClaim reports whether the entry is that of the claim's creator, not of the binder, which also writes to the claim.
func MadeClaim(entry metav1.ManagedFieldsEntry) bool {
	var owned struct {
		Spec struct {
			AccessModes any `json:"f:accessModes"`
		} `json:"f:spec"`
	}
	return entry.Subresource == "" && entry.FieldsV1 != nil &&
		json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) == nil && owned.Spec.AccessModes != nil
}

// trim holds the fields of a Go struct to drop, and those to trim in turn, by index.
type trim struct {
	drop [][]int
	into []step
}

type step struct {
	field []int
	trim  trim
}

// compile makes a trim that keeps these fields of the type, with their YAML names: spec.replicas. A list has the name of its items'
// path. Kind and apiVersion are kept. It panics if the type has no such field, because a typing error in a row would drop what
// rules read.
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
			// An inlined struct, whose fields are listed themselves, or a field of a named embedded struct.
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

// element returns the struct type that a field holds, points to, or lists.
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
