// Command argocd does what Argo CD's application controller does, with Argo CD's own engine. It reads manifests from standard input.
// sync applies them to a namespace and prunes the application's other objects; diff prints the objects that are out of sync.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/cache"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/engine"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
)

// tracking is Argo CD's annotation that marks the objects of an application.
const tracking = "argocd.argoproj.io/tracking-id"

func main() {
	kubeconfig := flag.String("cluster", "", "the kubeconfig `file` of the cluster")
	namespace := flag.String("namespace", "default", "the application's namespace")
	serverSide := flag.Bool("server-side", false, "use server-side apply")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, *kubeconfig, *namespace, flag.Arg(0), *serverSide); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
}

type mark struct{ of string }

func run(ctx context.Context, kubeconfig, namespace, verb string, serverSide bool) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	// These are Argo CD's own limits.
	config.QPS, config.Burst = 50, 100
	manifests, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	objects, err := kube.SplitYAML(manifests)
	if err != nil {
		return err
	}
	for _, object := range objects {
		object.SetNamespace(namespace)
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[tracking] = namespace
		object.SetAnnotations(annotations)
	}
	cluster := cache.NewClusterCache(config,
		cache.SetNamespaces([]string{namespace}), cache.SetLogr(logr.Discard()),
		cache.SetPopulateResourceInfoHandler(func(object *unstructured.Unstructured, _ bool) (any, bool) {
			of := object.GetAnnotations()[tracking]
			return mark{of}, of != ""
		}))
	gitops := engine.NewEngine(config, cluster, engine.WithLogr(logr.Discard()))
	stop, err := gitops.Run()
	if err != nil {
		return err
	}
	defer stop()
	isManaged := func(r *cache.Resource) bool { return r.Info.(mark).of == namespace }
	switch verb {
	case "sync":
		results, err := gitops.Sync(ctx, objects, isManaged, "main", namespace,
			sync.WithPrune(true), sync.WithServerSideApply(serverSide), sync.WithServerSideApplyManager("argocd-controller"), sync.WithLogr(logr.Discard()))
		for _, r := range results {
			fmt.Println(r.ResourceKey.Kind+"/"+r.ResourceKey.Name, r.Status, r.Message)
			if r.Status == common.ResultCodeSyncFailed {
				err = errors.Join(err, errors.New(r.Message))
			}
		}
		return err
	case "diff":
		live, err := cluster.GetManagedLiveObjs(objects, isManaged)
		if err != nil {
			return err
		}
		both := sync.Reconcile(objects, live, namespace, cluster)
		compared, err := diff.DiffArray(both.Target, both.Live, diff.WithLogr(logr.Discard()))
		if err != nil {
			return err
		}
		for i, d := range compared.Diffs {
			if !d.Modified {
				continue
			}
			object := both.Live[i]
			if object == nil {
				object = both.Target[i]
			}
			fmt.Printf("%s/%s OutOfSync\nlive:   %s\nwanted: %s\n", object.GetKind(), object.GetName(), d.NormalizedLive, d.PredictedLive)
		}
		return nil
	}
	return fmt.Errorf("unknown command %q. Fix: use sync or diff", verb)
}
