// Command render writes what follows from the chart: install.yaml, the chart's README.md, and the descriptions in its
// values.schema.json. Run it in the folder deploy, as `make render` does; -o writes only install.yaml, to another path.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/mooring-dev/mooring/deploy"
)

func main() {
	file := flag.String("o", "", "write install.yaml alone, to this `file`")
	flag.Parse()
	if err := render(*file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(file string) error {
	rendered, err := deploy.InstallYAML()
	if err != nil {
		return err
	}
	if file != "" {
		return os.WriteFile(file, rendered, 0o644)
	}
	readme, schema, err := deploy.Documented()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile("install.yaml", rendered, 0o644),
		os.WriteFile("chart/README.md", readme, 0o644),
		os.WriteFile("chart/values.schema.json", schema, 0o644),
	)
}
