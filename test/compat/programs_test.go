package compat

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// program is one that nobody here wrote, or a thin one of ours around the library that another is made of. Its folder under
// programs is a Go module that pins it and all that it is built from.
type program struct {
	name string
	// pkg is what is built, module where its version comes from.
	pkg, module string
}

var programs = []program{
	{"helm3", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3"},
	{"helm4", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4"},
	{"flux", ".", "github.com/fluxcd/pkg/ssa"},
	{"argocd", ".", "github.com/argoproj/argo-cd/gitops-engine"},
	{"descheduler", "sigs.k8s.io/descheduler/cmd/descheduler", "sigs.k8s.io/descheduler"},
	{"postgres-operator", "github.com/zalando/postgres-operator/cmd", "github.com/zalando/postgres-operator"},
	{"prometheus-operator", "github.com/prometheus-operator/prometheus-operator/cmd/operator", "github.com/prometheus-operator/prometheus-operator"},
	{"e2e", ".", "k8s.io/kubernetes"},
}

func programNamed(name string) program {
	for _, p := range programs {
		if p.name == name {
			return p
		}
	}
	panic("no program " + name)
}

// building keeps two builds from running at once: each takes all that the machine has.
var building sync.Mutex

// build returns the program's path. Binaries stay in the user's cache, where go build finds what is up to date.
func (p program) build(ctx context.Context) (string, error) {
	building.Lock()
	defer building.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "mooring", "compat", p.name)
	args := []string{"build", "-C", p.source(), "-trimpath", "-ldflags=-s -w", "-o", path, p.pkg}
	if p.name == "e2e" {
		args = []string{"test", "-C", p.source(), "-c", "-vet=off", "-trimpath", "-ldflags=-s -w", "-o", path, p.pkg}
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false -mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", p.name, err, out)
	}
	return path, nil
}

func (p program) source() string { return filepath.Join("programs", p.name) }

// about returns what go list says of the module that the program comes from.
func (p program) about(ctx context.Context, format string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-C", p.source(), "-m", "-f", format, p.module)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", p.module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
