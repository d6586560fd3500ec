// Command mooring keeps stateful workloads safe on Kubernetes.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker for a release.
var version = ""

func main() {
	root := newRoot()
	asPlugin(root, os.Args[0])
	os.Exit(run(root))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "mooring",
		Short: "Keeps stateful workloads safe on Kubernetes",
		Long: `Mooring keeps stateful workloads safe on Kubernetes: it requires headless Services, fills in retention policies and
update strategies, and refuses scale-downs and deletes that would lose data or the majority.`,
		Version:       buildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newAudit(), newCheck(), newExplain(), newExport(), newFix(), newReplay(), newServe(), newTest(), newVersion())
	return root
}

// run runs the command and returns the exit code.
func run(root *cobra.Command) int {
	err := root.Execute()
	if err == nil {
		return 0
	}
	fmt.Fprintln(root.ErrOrStderr(), "mooring:", err)
	if errors.As(err, &foundError{}) {
		return 1
	}
	return 2
}

// asPlugin has the help say kubectl mooring where kubectl has started this as its plugin, which it knows by the file's name.
func asPlugin(root *cobra.Command, program string) {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if plugin, ok := strings.CutPrefix(name, "kubectl-"); ok {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl " + plugin}
	}
}

// foundError says that what was asked for was found, which the program ends with 1 for. Any other error says that something
// could not be understood or read, and ends it with 2.
type foundError struct{ error }

// buildVersion is the linker's version, or the one of the module that was built.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
