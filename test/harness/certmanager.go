package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mooring-dev/mooring/test/controlplane"
)

// CertManager installs cert-manager's CustomResourceDefinitions on a control plane, and runs its controllers and cainjector until
// stop is called. Building them takes minutes once.
func CertManager(ctx context.Context, cp *controlplane.ControlPlane) (stop func(), err error) {
	root, err := repository(ctx)
	if err != nil {
		return nil, err
	}
	source, binary := filepath.Join(root, "test/certmanager"), filepath.Join(cp.Dir, "certmanager")
	if out, err := exec.CommandContext(ctx, "go", "build", "-C", source, "-o", binary, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building cert-manager: %w\n%s", err, out)
	}
	module, err := exec.CommandContext(ctx, "go", "-C", source, "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager").Output()
	if err != nil {
		return nil, fmt.Errorf("finding cert-manager's module: %w", err)
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "-f", filepath.Join(strings.TrimSpace(string(module)), "deploy/crds")},
		{"wait", "crd", "--all", "--for=condition=Established", "--timeout=30s"},
		{"create", "namespace", "cert-manager"},
	} {
		if out, err := cp.Kubectl(ctx, args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	log, err := os.Create(filepath.Join(cp.Dir, "certmanager.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(binary, "-cluster", cp.Kubeconfig)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}, nil
}
