// Package e2e runs Kubernetes' own end-to-end tests for StatefulSets and PodDisruptionBudgets on simulated nodes.
package e2e

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	"k8s.io/kubernetes/test/e2e/framework/testfiles"
	manifests "k8s.io/kubernetes/test/e2e/testing-manifests"

	_ "k8s.io/kubernetes/test/e2e/apps"
)

func TestMain(m *testing.M) {
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	testfiles.AddFileSource(manifests.GetE2ETestingManifestsFS())
	framework.AfterReadingAllFlags(&framework.TestContext)
	os.Exit(m.Run())
}

func TestE2E(t *testing.T) {
	gomega.RegisterFailHandler(framework.Fail)
	suite, reporter := framework.CreateGinkgoConfig()
	ginkgo.RunSpecs(t, "Kubernetes", suite, reporter)
}

// To clean up after a test, the suite scales to zero and deletes claims and namespaces, which Mooring refuses. The cleanup is not part
// of the test, so the namespace gets the profile off before it.
func init() {
	framework.NewFrameworkExtensions = append(framework.NewFrameworkExtensions, func(f *framework.Framework) {
		ginkgo.JustAfterEach(func(ctx context.Context) {
			_, err := f.ClientSet.CoreV1().Namespaces().Patch(ctx, f.Namespace.Name, types.MergePatchType,
				[]byte(`{"metadata":{"labels":{"mooring.dev/profile":"off"}}}`), metav1.PatchOptions{})
			framework.ExpectNoError(err)
		})
	})
}
