package kinds

import (
	"errors"
	"reflect"
	"strings"

	"sigs.k8s.io/json"

	"github.com/mooring-dev/mooring/policies/words"
)

// Decode decodes JSON into the object, and returns the paths of the fields that its kind does not have.
func Decode(text []byte, o Object) (unknown []string, err error) {
	strict, err := json.UnmarshalStrict(text, o)
	for _, wrong := range strict {
		var at json.FieldError
		if errors.As(wrong, &at) {
			unknown = append(unknown, at.FieldPath())
		}
	}
	return unknown, err
}

// Meant returns the field that an unknown field beside it is probably a misspelling of, or "".
func (k *Kind) Meant(path string) string {
	above, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		above, name = path[:i+1], path[i+1:]
	}
	of := element(k.object)
	for segment := range strings.FieldsFuncSeq(above, func(r rune) bool { return r == '.' }) {
		segment, _, _ = strings.Cut(segment, "[")
		t := field(of, segment)
		if t == nil {
			return ""
		}
		if of = element(t); of.Kind() != reflect.Struct {
			return ""
		}
	}
	meant := ""
	for _, f := range reflect.VisibleFields(of) {
		switch known := jsonName(f); {
		case strings.EqualFold(known, name):
			return above + known
		case len(known) > 3 && words.Similar(known, name):
			meant = above + known
		}
	}
	return meant
}
