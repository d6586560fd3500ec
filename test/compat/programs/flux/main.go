// Command flux does what Flux's kustomize-controller does, with Flux's own library. It reads manifests from standard input, and syncs,
// compares or deletes them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func main() {
	kubeconfig := flag.String("cluster", "", "the kubeconfig `file` of the cluster")
	namespace := flag.String("namespace", "default", "the `namespace` of objects that do not set one")
	force := flag.Bool("force", false, "recreate objects whose immutable fields changed")
	flag.Parse()
	if err := run(context.Background(), *kubeconfig, *namespace, flag.Arg(0), *force); err != nil {
		fmt.Fprintln(os.Stderr, "flux:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, namespace, verb string, force bool) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	poller := polling.NewStatusPoller(c, c.RESTMapper(), polling.Options{})
	manager := ssa.NewResourceManager(c, poller, ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
	objects, err := utils.ReadObjects(os.Stdin)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
	}
	manager.SetOwnerLabels(objects, "app", namespace)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	switch verb {
	case "sync":
		opts := ssa.DefaultApplyOptions()
		opts.Force = force
		changed, err := manager.ApplyAllStaged(ctx, objects, opts)
		if err != nil {
			return err
		}
		for _, entry := range changed.Entries {
			fmt.Println(entry.Subject, entry.Action)
		}
		return manager.WaitForSetWithContext(ctx, changed.ToObjMetadataSet(), ssa.WaitOptions{Interval: 200 * time.Millisecond, Timeout: time.Minute})
	case "diff":
		return diff(ctx, manager, objects)
	case "delete":
		changed, err := manager.DeleteAll(ctx, objects, ssa.DefaultDeleteOptions())
		if changed != nil {
			for _, entry := range changed.Entries {
				fmt.Println(entry.Subject, entry.Action)
			}
		}
		return err
	}
	return fmt.Errorf("unknown command %q. Fix: use sync, diff or delete", verb)
}

func diff(ctx context.Context, manager *ssa.ResourceManager, objects []*unstructured.Unstructured) error {
	var failed error
	for _, object := range objects {
		entry, _, _, err := manager.Diff(ctx, object, ssa.DefaultDiffOptions())
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		fmt.Println(entry.Subject, entry.Action)
	}
	return failed
}
