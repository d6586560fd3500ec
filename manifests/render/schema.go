package render

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chart"

	"github.com/mooring-dev/mooring/manifests"
)

const schemaFile = "values.schema.json"

// validate validates the values of a chart and of its dependencies against their schemas.
func validate(c *chart.Chart, values map[string]any) error { return validateIn("", c, values) }

func validateIn(folder string, c *chart.Chart, values map[string]any) error {
	if c.Schema != nil {
		if err := validateAgainst(c.Schema, values); err != nil {
			return &manifests.RenderError{Source: path.Join(folder, schemaFile), Message: "the values of chart " + c.Name() + ": " + inOneLine(err)}
		}
	}
	for _, dependency := range c.Dependencies() {
		of, ok := values[dependency.Name()].(map[string]any)
		if !ok {
			continue
		}
		if err := validateIn(path.Join(folder, "charts", dependency.Name()), dependency, of); err != nil {
			return err
		}
	}
	return nil
}

// inOneLine returns which values a schema rejects and why, without the schema's name.
func inOneLine(err error) string {
	var refused *jsonschema.ValidationError
	if !errors.As(err, &refused) {
		return err.Error()
	}
	var all []string
	for _, unit := range refused.BasicOutput().Errors {
		if unit.Error != nil {
			all = append(all, cmp.Or(unit.InstanceLocation, "/")+": "+unit.Error.String())
		}
	}
	return strings.Join(all, "; ")
}

func validateAgainst(schema []byte, values map[string]any) error {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return err
	}
	nothing := &offline{}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nothing)
	if err := compiler.AddResource("file:///"+schemaFile, document); err != nil {
		return err
	}
	compiled, err := compiler.Compile("file:///" + schemaFile)
	if nothing.wanted != "" {
		return fmt.Errorf("the schema refers to %s, and Mooring downloads nothing", nothing.wanted)
	}
	if err != nil {
		return err
	}
	return compiled.Validate(values)
}

// offline loads no schema and records which one was requested.
type offline struct{ wanted string }

func (o *offline) Load(url string) (any, error) {
	o.wanted = url
	return nil, errors.New("nothing is downloaded")
}
