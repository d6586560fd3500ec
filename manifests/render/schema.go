package render

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chart"

	"github.com/mooring-dev/mooring/manifests"
)

const schemaFile = "values.schema.json"

// validate holds the values of a chart and of its dependencies against their schemas.
func validate(c *chart.Chart, values map[string]any) error { return validateIn("", c, values) }

func validateIn(folder string, c *chart.Chart, values map[string]any) error {
	if c.Schema != nil {
		if err := validateAgainst(c.Schema, values); err != nil {
			message := strings.TrimPrefix(err.Error(), "jsonschema validation failed with 'file:///"+schemaFile+"#'\n")
			return &manifests.RenderError{Source: path.Join(folder, schemaFile), Message: "the values of chart " + c.Name() + ": " + message}
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
		return fmt.Errorf("the schema refers to %s, and nothing is downloaded", nothing.wanted)
	}
	if err != nil {
		return err
	}
	return compiled.Validate(values)
}

// offline loads no schema and remembers which it was asked for.
type offline struct{ wanted string }

func (o *offline) Load(url string) (any, error) {
	o.wanted = url
	return nil, errors.New("nothing is downloaded")
}
