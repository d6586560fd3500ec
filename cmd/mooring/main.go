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
	root := &cobra.Command{
		Use:   "mooring",
		Short: "Keeps stateful workloads safe on Kubernetes",
		Long: `Mooring keeps stateful workloads safe on Kubernetes: it requires headless Services, fills in retention policies and
update strategies, and refuses scale-downs and deletes that would lose data or the majority.`,
		Version:       buildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newCheck(), newExplain(), newFix(), newVersion())
	root.AddCommand(inCluster()...)
	asPlugin(root, os.Args[0])
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "mooring:", err)
		if errors.As(err, &foundError{}) {
			os.Exit(1)
		}
		os.Exit(2)
	}
}

// clusterCommands says what the commands do that the lean build leaves to the complete one.
var clusterCommands = map[string]string{
	"audit":  "Say what in a live cluster violates the policies",
	"export": "Say the policies in the API server's own language",
	"replay": "Say what policies would have done to the requests of a recorded audit log",
	"serve":  "Answer the API server's admission reviews",
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
