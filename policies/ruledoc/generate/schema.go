package main

import (
	"encoding/json"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

const testSchemaFile = "docs/schemas/policy-test.json"

// testSchema returns the JSON schema of test files, made from the Go types and their comments.
func testSchema() ([]byte, error) {
	types, err := typesOf("policies/ruletest/file.go", "policies/ruletest/case.go")
	if err != nil {
		return nil, err
	}
	schema := types.schema(reflect.TypeFor[ruletest.File]())
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["$id"] = "https://github.com/mooring-dev/mooring/blob/main/" + testSchemaFile
	schema["title"] = "A test of StatefulPolicies for mooring test"
	var ids []string
	for _, rule := range rules.All {
		ids = append(ids, rule.ID)
	}
	properties := schema["properties"].(object)
	properties["apiVersion"] = object{"const": v1alpha1.GroupVersion.String()}
	properties["kind"] = object{"const": ruletest.Kind}
	properties["profile"].(object)["enum"] = policies.Profiles
	properties["rule"].(object)["enum"] = ids
	properties["cases"].(object)["minItems"] = 1
	want := properties["cases"].(object)["items"].(object)["properties"].(object)["want"].(object)
	want["items"].(object)["pattern"] = "^([a-z-]+/)?[a-z-]+(:(Deny|Warn|Audit))?$"
	return json.MarshalIndent(schema, "", "  ")
}

type object = map[string]any

// schema returns the schema of a Go type.
func (types apiTypes) schema(t reflect.Type) object {
	switch {
	case t.Kind() == reflect.Pointer:
		return types.schema(t.Elem())
	case t == reflect.TypeFor[metav1.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": types.schema(t.Elem())}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Int32:
		return object{"type": "integer", "minimum": 0}
	case t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[ruletest.File]().PkgPath():
		return object{"type": "object"}
	}
	properties, required := object{}, []string{}
	for _, f := range types.fields(t.Name()) {
		if len(f.Names) == 0 {
			required = append(required, "apiVersion", "kind")
			continue
		}
		if !f.Names[0].IsExported() {
			continue
		}
		field, _ := t.FieldByName(f.Names[0].Name)
		property := types.schema(field.Type)
		property["description"] = prose(f.Doc)
		properties[jsonName(f)] = property
		if !strings.HasSuffix(field.Tag.Get("json"), ",omitempty") {
			required = append(required, jsonName(f))
		}
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}
