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

// asPlugin makes the help say kubectl mooring if kubectl started this program as a plugin, which the file name shows.
func asPlugin(root *cobra.Command, program string) {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if plugin, ok := strings.CutPrefix(name, "kubectl-"); ok {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl " + plugin}
	}
}

// foundError means that there are findings: the exit code is 1. With any other error, such as invalid or unreadable input, it is 2.
type foundError struct{ error }

// buildVersion returns the linker's version, or that of the module.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
