package compat

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// program is a program of another project, or a small program of ours that uses another project's library. Its directory under programs
// is a Go module that pins its version and its dependencies.
type program struct {
	name string
	// pkg is the package to build. module is the module that it comes from, with its version.
	pkg, module string
}

var programs = []program{
	{"helm3", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3"},
	{"helm4", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4"},
	{"flux", ".", "github.com/fluxcd/pkg/ssa"},
	{"argocd", ".", "github.com/argoproj/argo-cd/gitops-engine"},
	{"provisioner", ".", "sigs.k8s.io/sig-storage-lib-external-provisioner/v13"},
	{"descheduler", "sigs.k8s.io/descheduler/cmd/descheduler", "sigs.k8s.io/descheduler"},
	{"postgres-operator", "github.com/zalando/postgres-operator/cmd", "github.com/zalando/postgres-operator"},
	{"prometheus-operator", "github.com/prometheus-operator/prometheus-operator/cmd/operator", "github.com/prometheus-operator/prometheus-operator"},
	{"redis-operator", "github.com/spotahome/redis-operator/cmd/redisoperator", "github.com/spotahome/redis-operator"},
	{"e2e", ".", "k8s.io/kubernetes"},
}

func programNamed(name string) program {
	for _, p := range programs {
		if p.name == name {
			return p
		}
	}
	panic("unknown program " + name)
}

// buildPrograms builds the selected programs before anything runs, because the first build takes minutes and uses all cores.
func buildPrograms(ctx context.Context) error {
	var names []string
	for _, c := range cases() {
		if c.program != "kubectl" {
			names = append(names, c.program)
		}
	}
	if runs("e2e") {
		names = append(names, "e2e")
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		began := time.Now()
		if err := programNamed(name).build(ctx); err != nil {
			return err
		}
		fmt.Printf("built %s in %.0f s\n", name, time.Since(began).Seconds())
	}
	return nil
}

// path returns the path of the binary. It is in the user's cache, so that go build can reuse it.
func (p program) path() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "mooring", "compat", p.name), err
}

func (p program) build(ctx context.Context) error {
	path, err := p.path()
	if err != nil {
		return err
	}
	args := []string{"build", "-C", p.source(), "-trimpath", "-ldflags=-s -w", "-o", path, p.pkg}
	if p.name == "e2e" {
		args = []string{"test", "-C", p.source(), "-c", "-vet=off", "-trimpath", "-ldflags=-s -w", "-o", path, p.pkg}
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false -mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", p.name, err, out)
	}
	return nil
}

func (p program) source() string { return filepath.Join("programs", p.name) }

// about returns what go list prints about the program's module.
func (p program) about(ctx context.Context, format string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-C", p.source(), "-m", "-f", format, p.module)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", p.module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
