package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"

	"github.com/mooring-dev/mooring/policies/ruledoc"
)

// parametersOf returns the fields of a rule's block, nested ones by their path, in the order of the Go types.
func parametersOf(block string) ([]ruledoc.Parameter, error) {
	types, err := typesOf("policies/v1alpha1/types.go")
	if err != nil {
		return nil, err
	}
	for _, f := range types.fields("Rules") {
		if jsonName(f) == block {
			return types.parameters("", typeName(f)), nil
		}
	}
	return nil, fmt.Errorf("the policy has no block %q", block)
}

// apiTypes are the declared types by name.
type apiTypes map[string]apiType

// typesOf returns the types that the files declare.
func typesOf(files ...string) (apiTypes, error) {
	types := apiTypes{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				for _, spec := range d.Specs {
					types[spec.(*ast.TypeSpec).Name.Name] = apiType{spec.(*ast.TypeSpec).Type, d.Doc}
				}
			}
		}
	}
	return types, nil
}

type apiType struct {
	expr ast.Expr
	doc  *ast.CommentGroup
}

func (types apiTypes) fields(name string) []*ast.Field {
	if s, ok := types[name].expr.(*ast.StructType); ok {
		return s.Fields.List
	}
	return nil
}

func (types apiTypes) parameters(prefix, name string) []ruledoc.Parameter {
	var all []ruledoc.Parameter
	for _, f := range types.fields(name) {
		if len(f.Names) == 0 {
			all = append(all, types.parameters(prefix, typeName(f))...)
			continue
		}
		path := prefix + jsonName(f)
		within := types.parameters(path+".", typeName(f))
		p := ruledoc.Parameter{Name: path, Doc: strings.TrimPrefix(prose(f.Doc), jsonName(f)+": ")}
		if within == nil {
			p.Value = types.value(f)
		}
		all = append(append(all, p), within...)
	}
	return all
}

// value describes the values of the field, from its markers or those of its type.
func (types apiTypes) value(f *ast.Field) string {
	of := typeName(f)
	for _, doc := range []*ast.CommentGroup{f.Doc, types[of].doc} {
		if enum, ok := marker(doc, "kubebuilder:validation:Enum="); ok {
			return strings.ReplaceAll(enum, ";", ", ")
		}
	}
	least, bounded := marker(f.Doc, "kubebuilder:validation:Minimum=")
	switch {
	case bounded:
		return "number, at least " + least
	case of == "IntOrString":
		return "number or percentage"
	case of == "int32" || of == "int64":
		return "number"
	case of == "bool":
		return "true or false"
	default:
		return of
	}
}

// typeName returns the field's type without package and star.
func typeName(f *ast.Field) string {
	expr := f.Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.SelectorExpr:
			return e.Sel.Name
		case *ast.ArrayType:
			return "list of " + typeName(&ast.Field{Type: e.Elt})
		case *ast.Ident:
			return e.Name
		default:
			return fmt.Sprintf("%T", e)
		}
	}
}

func jsonName(f *ast.Field) string {
	tag, _ := strconv.Unquote(f.Tag.Value)
	name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	return name
}

// prose returns the comment on one line, without its markers.
func prose(doc *ast.CommentGroup) string {
	var said []string
	for line := range strings.Lines(doc.Text()) {
		if !strings.HasPrefix(line, "+") {
			said = append(said, strings.Fields(line)...)
		}
	}
	return strings.Join(said, " ")
}

func marker(doc *ast.CommentGroup, name string) (string, bool) {
	for line := range strings.Lines(doc.Text()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "+"+name); ok {
			return value, true
		}
	}
	return "", false
}
