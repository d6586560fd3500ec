// Package harness installs Mooring on a control plane as a user does, for tests and the demo: kubectl applies the chart, and the
// real binary runs with the chart's service account, never as administrator.
package harness

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/mooring-dev/mooring/deploy"
	"github.com/mooring-dev/mooring/test/controlplane"
)

// Options configure the installation.
type Options struct {
	// Values override the chart's.
	Values map[string]any
	// Args are additional flags of mooring serve.
	Args []string
	// Chart installs the chart with these values; by default kubectl apply does.
	Chart func(values map[string]any) error
	// URL is the webhook's URL for the API server, by default that of the first replica.
	URL string
}

// Installation is Mooring on a control plane.
type Installation struct {
	*controlplane.ControlPlane
	// Log is the file with the server's log.
	Log string
	// Webhook, Metrics and Health are the server's base URLs.
	Webhook, Metrics, Health string

	server         *exec.Cmd
	done           chan error
	args           []string
	binary, config string
	install        func() error
}

// Install starts a control plane, installs Mooring and serves until the end of a test.
func Install(t testing.TB, planes controlplane.Options, o Options) *Installation {
	t.Helper()
	cp := controlplane.Start(t, planes)
	in, err := On(t.Context(), cp, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Stop()
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", in.tail(10))
		}
	})
	return in
}

// On installs Mooring on a control plane and waits until it is ready and, unless it has a URL of the caller's, guard has its rules.
// The caller must Stop it.
func On(ctx context.Context, cp *controlplane.ControlPlane, o Options) (*Installation, error) {
	binary, err := Build(ctx, cp.Dir)
	if err != nil {
		return nil, err
	}
	addresses, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	in := &Installation{
		ControlPlane: cp, binary: binary, Log: filepath.Join(cp.Dir, "mooring.log"),
		Webhook: "https://" + addresses[0], Metrics: "http://" + addresses[1], Health: "http://" + addresses[2],
	}
	values := chartutil.MergeTables(map[string]any{"namespace": map[string]any{"create": true}, "webhook": map[string]any{"url": cmp.Or(o.URL, in.Webhook)}}, o.Values)
	if o.Chart == nil {
		o.Chart = func(values map[string]any) error {
			manifests, err := deploy.Render(values, deploy.Namespace)
			if err == nil {
				_, err = in.Apply(ctx, string(manifests))
			}
			return err
		}
	}
	in.install = func() error { return o.Chart(values) }
	if err := in.install(); err != nil {
		return nil, err
	}
	if in.config, err = in.serviceAccountKubeconfig(ctx); err != nil {
		return nil, err
	}
	if err := in.serve(ctx, addresses, o.Args); err != nil {
		return in, err
	}
	if o.URL != "" {
		return in, nil // the caller has to have the URL answered first
	}
	if err := in.Guarded(ctx); err != nil {
		return in, errors.Join(err, in.Stop())
	}
	return in, nil
}

// Reinstall installs the chart again with the same values.
func (in *Installation) Reinstall() error { return in.install() }

// Guarded waits until Mooring has added guard's rules.
func (in *Installation) Guarded(ctx context.Context) error {
	out, err := in.Run(ctx, in.Kubeconfig, "", "wait", "validatingwebhookconfiguration/mooring",
		`--for=jsonpath={.webhooks[?(@.name=="guard.mooring.dev")].rules[0].apiVersions[0]}=v1`, "--timeout=30s")
	if err != nil {
		return fmt.Errorf("guard has no rules: %w\n%s\n%s", err, out, in.tail(20))
	}
	return nil
}

// Replica starts another server with its own addresses. The caller must Stop it.
func (in *Installation) Replica(ctx context.Context, args ...string) (*Installation, error) {
	addresses, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	other := &Installation{
		ControlPlane: in.ControlPlane, binary: in.binary, config: in.config, Log: filepath.Join(in.Dir, "mooring-"+addresses[0]+".log"),
		Webhook: "https://" + addresses[0], Metrics: "http://" + addresses[1], Health: "http://" + addresses[2],
	}
	return other, other.serve(ctx, addresses, args)
}

func (in *Installation) serve(ctx context.Context, addresses, args []string) error {
	in.args = append([]string{
		"serve", "--kubeconfig=" + in.config, "--namespace=" + deploy.Namespace, "--leader-elect", "--drain-delay=0s", "--metrics-secure=false",
		"--webhook-bind-address=" + addresses[0], "--metrics-bind-address=" + addresses[1], "--health-probe-bind-address=" + addresses[2],
		"--cert-extra-name=127.0.0.1",
	}, args...)
	if err := in.Start(ctx); err != nil {
		return errors.Join(err, in.Stop())
	}
	return nil
}

// Start starts the server and waits until it is ready.
func (in *Installation) Start(ctx context.Context) error {
	log, err := os.OpenFile(in.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	in.server = exec.Command(in.binary, in.args...)
	in.server.Stdout, in.server.Stderr = log, log
	if err := in.server.Start(); err != nil {
		return err
	}
	in.done = make(chan error, 1)
	go func(server *exec.Cmd, done chan error) { done <- server.Wait() }(in.server, in.done)

	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var certificate string
	for {
		body, err := Get(ctx, in.Health+"/readyz?verbose")
		if err == nil {
			return nil
		}
		if why, err := Get(ctx, in.Health+"/readyz/certificate"); err != nil && why != "" {
			certificate = "/readyz/certificate: " + strings.TrimSpace(why)
		}
		select {
		case ended := <-in.done:
			return fmt.Errorf("mooring serve ended: %w\n%s\n%s", ended, certificate, in.tail(20))
		case <-ctx.Done():
			return fmt.Errorf("mooring serve is not ready: %w\n%s\n%s\n%s", err, body, certificate, in.tail(20))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Mooring returns a command of the server's binary.
func (in *Installation) Mooring(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, in.binary, args...)
}

// PID returns the server's process ID.
func (in *Installation) PID() int { return in.server.Process.Pid }

// Terminate sends SIGTERM to the server, as a kubelet does.
func (in *Installation) Terminate() error { return in.server.Process.Signal(syscall.SIGTERM) }

// Stop stops the server and returns its error, nil if it had already stopped.
func (in *Installation) Stop() error {
	if in.server == nil || in.server.Process == nil || errors.Is(in.Terminate(), os.ErrProcessDone) {
		return nil
	}
	return in.Wait()
}

// Wait waits for the server and returns its error.
func (in *Installation) Wait() error {
	select {
	case err := <-in.done:
		return err
	case <-time.After(30 * time.Second):
		in.Kill()
		return errors.New("mooring serve did not stop within 30 s")
	}
}

// Kill kills the server like a crash.
func (in *Installation) Kill() {
	_ = in.server.Process.Kill()
	<-in.done
}

// Apply applies a manifest as the administrator and returns kubectl's output.
func (in *Installation) Apply(ctx context.Context, manifest string, args ...string) (string, error) {
	return in.Run(ctx, in.Kubeconfig, manifest, append([]string{"apply", "-f", "-"}, args...)...)
}

// Run runs kubectl with a kubeconfig and standard input, and returns its output with warnings and errors. The error also has the
// output.
func (in *Installation) Run(ctx context.Context, kubeconfig, stdin string, args ...string) (string, error) {
	cmd := in.Kubectl(ctx, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// serviceAccountKubeconfig returns a kubeconfig with a token of the chart's service account.
func (in *Installation) serviceAccountKubeconfig(ctx context.Context) (string, error) {
	token, err := in.Run(ctx, in.Kubeconfig, "", "-n", deploy.Namespace, "create", "token", "mooring", "--duration=24h")
	if err != nil {
		return "", err
	}
	return in.KubeconfigForToken("mooring", strings.TrimSpace(token))
}

func (in *Installation) tail(lines int) string {
	data, err := os.ReadFile(in.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Get returns the body of a response with status 200, and an error for any other. It does not verify certificates, because it is
// for probes.
func Get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return string(body), err
}

// Metric returns the sum of the server's metrics with this prefix.
func (in *Installation) Metric(ctx context.Context, prefix string) (float64, error) {
	body, err := Get(ctx, in.Metrics+"/metrics")
	if err != nil {
		return 0, err
	}
	var sum float64
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, prefix) {
			var value float64
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &value); err != nil {
				return 0, fmt.Errorf("%s: %w", line, err)
			}
			sum += value
		}
	}
	return sum, nil
}

// Build builds the binary into dir from this repository.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := repository(ctx)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "mooring")
	cmd := exec.CommandContext(ctx, "go", "build", "-C", root, "-o", binary, "./cmd/mooring")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building mooring: %w\n%s", err, out)
	}
	return binary, nil
}

// repository returns the folder of this repository.
func repository(ctx context.Context) (string, error) {
	chart, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/mooring-dev/mooring/deploy").Output()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(chart))), nil
}

// freeAddresses returns addresses for webhook, metrics and health.
func freeAddresses() ([]string, error) {
	ports, err := controlplane.FreePorts(3)
	for i := range ports {
		ports[i] = "127.0.0.1:" + ports[i]
	}
	return ports, err
}
