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
	root.AddCommand(newAudit(), newCheck(), newExplain(), newExport(), newFix(), newReplay(), newServe(), newVersion())
	asPlugin(root, os.Args[0])
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "mooring:", err)
		// What cannot be understood or read. That something was found says so itself.
		code := exitError{code: 2}
		errors.As(err, &code)
		os.Exit(code.code)
	}
}

// asPlugin has the help say kubectl mooring where kubectl has started this as its plugin, which it knows by the file's name.
func asPlugin(root *cobra.Command, program string) {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if plugin, ok := strings.CutPrefix(name, "kubectl-"); ok {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl " + plugin}
	}
}

// exitError is an error with the exit code that it ends the program with.
type exitError struct {
	error
	code int
}

func exitWith(code int, err error) error { return exitError{err, code} }

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
