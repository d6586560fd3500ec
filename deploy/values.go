package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Documented returns the chart's README.md, and its values.schema.json with the descriptions from the comments in values.yaml.
func Documented() (readme, schema []byte, err error) {
	text, err := fs.ReadFile(files, "chart/values.yaml")
	if err != nil {
		return nil, nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, nil, err
	}
	text, err = fs.ReadFile(files, "chart/values.schema.json")
	if err != nil {
		return nil, nil, err
	}
	var described map[string]any
	if err := json.Unmarshal(text, &described); err != nil {
		return nil, nil, err
	}
	out := bytes.NewBufferString(readmeHead)
	if err := describe(out, document.Content[0], "", described); err != nil {
		return nil, nil, err
	}
	schema, err = json.MarshalIndent(described, "", "  ")
	return out.Bytes(), append(schema, '\n'), err
}

const readmeHead = `# Mooring

<!-- Written by make render from values.yaml. -->

An admission webhook that keeps stateful workloads safe. See [install, upgrade, remove](../../docs/operating/install.md).

    helm install mooring deploy/chart --namespace mooring-system --create-namespace

| value | default | what it is |
| --- | --- | --- |
`

// describe writes a row for each value below the mapping, and adds its comment to the schema.
func describe(out *bytes.Buffer, mapping *yaml.Node, prefix string, schema map[string]any) error {
	properties, _ := schema["properties"].(map[string]any)
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := prefix + key.Value
		property, ok := properties[key.Value].(map[string]any)
		if !ok {
			return fmt.Errorf("values.schema.json says nothing of %s", name)
		}
		comment := words(key.HeadComment)
		if comment != "" {
			property["description"] = comment
		}
		if property["properties"] != nil && len(value.Content) > 0 {
			if err := describe(out, value, name+".", property); err != nil {
				return err
			}
			continue
		}
		if comment == "" {
			return fmt.Errorf("values.yaml has no comment on %s", name)
		}
		standard, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		var compact any
		if err := yaml.Unmarshal(standard, &compact); err != nil {
			return err
		}
		inline, err := json.Marshal(compact)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "| `%s` | `%s` | %s |\n", name, inline, strings.ReplaceAll(comment, "|", `\|`))
	}
	return nil
}

// words joins the last paragraph of a comment to one line.
func words(comment string) string {
	paragraphs := strings.Split(comment, "\n\n")
	var all []string
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		all = append(all, strings.TrimSpace(strings.TrimPrefix(line, "#")))
	}
	return strings.Join(all, " ")
}
