// Command render writes install.yaml from the chart. Run it in the folder deploy, as `make render` does.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mooring-dev/mooring/deploy"
)

func main() {
	file := flag.String("o", "install.yaml", "the `file` to write")
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
	return os.WriteFile(file, rendered, 0o644)
}
