// Command controlplane runs a Kubernetes control plane on this machine, without a container engine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/mooring-dev/mooring/test/controlplane"
)

const usage = `Runs a real Kubernetes control plane on loopback, with fake nodes and volumes.

Usage:
  controlplane up      build it if need be, start it, and print the line that sets KUBECONFIG
  controlplane down    stop it and remove its data
  controlplane build   build its binaries and print their folder

Flags:
`

const example = `
Example:
  eval "$(controlplane up)"
  kubectl get nodes
  controlplane down
`

func main() {
	cache, err := os.UserCacheDir()
	if err != nil {
		fail(err)
	}
	dir := flag.String("dir", filepath.Join(cache, "mooring", "controlplane", "running"), "folder for data, logs and credentials")
	version := flag.String("version", "", "Kubernetes version, such as v1.37; by default what the environment variable "+controlplane.VersionVariable+" says, else "+controlplane.DefaultVersion)
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
		fmt.Fprint(flag.CommandLine.Output(), example)
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	switch flag.Arg(0) {
	case "up":
		err = up(ctx, *dir, *version)
	case "down":
		err = down(*dir)
	case "build":
		var built string
		if built, err = controlplane.Build(ctx, *version, os.Stderr); err == nil {
			fmt.Println(built)
		}
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fail(err)
	}
}

func up(ctx context.Context, dir, version string) error {
	running, err := controlplane.Find(dir)
	if err != nil {
		return err
	}
	if running != nil {
		fmt.Fprintln(os.Stderr, "It is running already.")
		announce(running.Kubeconfig, running.Kubectl)
		return nil
	}
	// The remains of one that was killed would mix with the new one.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	cp, err := controlplane.Run(ctx, controlplane.Options{Version: version, Dir: dir, Detached: true})
	if err != nil {
		return err
	}
	if err := cp.Save(); err != nil {
		cp.Stop()
		return err
	}
	announce(cp.Kubeconfig, cp.Kubectl(ctx).Path)
	return nil
}

// announce prints a line for the shell to evaluate and, on standard error, information for people.
func announce(kubeconfig, kubectl string) {
	fmt.Printf("export KUBECONFIG=%s\n", kubeconfig)
	fmt.Fprintln(os.Stderr, "kubectl of the same version:", kubectl)
}

func down(dir string) error {
	running, err := controlplane.Find(dir)
	if err != nil {
		return err
	}
	if running == nil {
		fmt.Fprintln(os.Stderr, "It is not running.")
		return nil
	}
	return running.Stop()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "controlplane:", err)
	os.Exit(1)
}
