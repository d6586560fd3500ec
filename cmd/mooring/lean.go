//go:build lean

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/manifests"
)

// complete is the name of the program that holds the complete build where this one is installed. Kubernetes' client and
// Helm's packages take a tenth of a second and 60 MiB to initialise themselves, so that what reads files alone, which runs at
// every commit, is better off without them.
const complete = "mooring-cluster"

// inCluster returns commands that hand over to the complete build's.
func inCluster() []*cobra.Command {
	var commands []*cobra.Command
	for _, name := range slices.Sorted(maps.Keys(clusterCommands)) {
		cmd := &cobra.Command{
			Use:                name,
			Short:              clusterCommands[name],
			DisableFlagParsing: true,
			RunE:               func(*cobra.Command, []string) error { return handOver() },
			ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				_ = handOver()
				return nil, cobra.ShellCompDirectiveError
			},
		}
		cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
			if err := handOver(); err != nil {
				cmd.PrintErrln("mooring:", err)
			}
		})
		commands = append(commands, cmd)
	}
	return commands
}

// handOver has the complete build do what this process was asked for. It returns only an error.
func handOver() error {
	program, err := findComplete()
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		return syscall.Exec(program, os.Args, os.Environ())
	}
	cmd := exec.Command(program)
	cmd.Args, cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Args, os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if cmd.ProcessState != nil {
		os.Exit(cmd.ProcessState.ExitCode())
	}
	return err
}

// findComplete returns the path of the complete build: beside this program, or where the shell would find it.
func findComplete() (string, error) {
	if self, err := os.Executable(); err == nil {
		// A plugin manager starts its plugins through links.
		if self, err = filepath.EvalSymlinks(self); err == nil {
			beside := filepath.Join(filepath.Dir(self), complete+filepath.Ext(self))
			if _, err := os.Stat(beside); err == nil {
				return beside, nil
			}
		}
	}
	found, err := exec.LookPath(complete)
	if err != nil {
		return "", fmt.Errorf("this needs the program %s, which is neither beside mooring nor in $PATH; both are in the archive of the release", complete)
	}
	return found, nil
}

// connect leaves the whole check to the complete build, which can ask the cluster.
func (o *checkOptions) connect(context.Context, *manifests.Judgement) error { return handOver() }

func renderChart(release manifests.Release) manifests.Renderer {
	return func(folder string) ([]manifests.Rendered, error) { return renderComplete("chart", folder, release) }
}

func renderKustomization(folder string) ([]manifests.Rendered, error) {
	return renderComplete("kustomization", folder, manifests.Release{})
}

// renderComplete has the complete build render the folder.
func renderComplete(kind, folder string, release manifests.Release) ([]manifests.Rendered, error) {
	program, err := findComplete()
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(release)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "render", kind, "--", folder)
	cmd.Stdin = bytes.NewReader(input)
	output, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, errors.New(strings.TrimPrefix(strings.TrimSpace(string(exit.Stderr)), "mooring: "))
	} else if err != nil {
		return nil, err
	}
	var answer rendering
	if err := json.Unmarshal(output, &answer); err != nil {
		return nil, err
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	return answer.Manifests, nil
}
