package kinds

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Unread returns the field names of Pod templates that no row keeps anywhere. A reader of text can skip what is below such a name,
// wherever it is.
func Unread() []string {
	read := map[string]bool{}
	for _, k := range All {
		for _, path := range k.keeps {
			of := k.object
			for name := range strings.SplitSeq(path, ".") {
				read[name] = true
				of = field(element(of), name)
			}
			below(element(of), read)
		}
	}
	var unread []string
	for _, t := range []reflect.Type{reflect.TypeFor[corev1.PodSpec](), reflect.TypeFor[corev1.Container]()} {
		for _, f := range reflect.VisibleFields(t) {
			if name := jsonName(f); name != "" && !read[name] {
				unread = append(unread, name)
			}
		}
	}
	slices.Sort(unread)
	return slices.Compact(unread)
}

// field returns the type of the struct field with that JSON name.
func field(t reflect.Type, name string) reflect.Type {
	for _, f := range reflect.VisibleFields(t) {
		if jsonName(f) == name {
			return f.Type
		}
	}
	return nil
}

// below marks the names of all fields of the type, at any depth, as read.
func below(t reflect.Type, read map[string]bool) {
	if t.Kind() == reflect.Map {
		t = element(t.Elem())
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for _, f := range reflect.VisibleFields(t) {
		name := jsonName(f)
		if name != "" && read[name] && element(f.Type).Kind() == reflect.Struct {
			// Its fields are already marked, or are about to be.
			continue
		}
		read[name] = true
		below(element(f.Type), read)
	}
}
