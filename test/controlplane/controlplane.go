// Package controlplane runs a real Kubernetes control plane on loopback without a container engine: etcd, the API server, the
// controller manager and the scheduler, with kwok instead of nodes, so that Pods become ready, claims are bound and retention
// policies delete.
package controlplane

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Options configure the control plane. The zero value works.
type Options struct {
	// Version is the Kubernetes version, as in the versions folder; by default VersionVariable or DefaultVersion.
	Version string
	// Nodes is the number of fake nodes, by default 3. They are called node-0, node-1 and so on.
	Nodes int
	// APIServerArgs and ControllerManagerArgs are additional flags.
	APIServerArgs, ControllerManagerArgs []string
	// WithoutControllers omits the controller manager, the scheduler and kwok: objects are only stored.
	WithoutControllers bool
	// Dir is the folder of data, logs and credentials, by default a temporary one that Stop removes.
	Dir string
	// Detached lets the processes outlive this one.
	Detached bool
	// Progress receives the progress of a build, by default os.Stderr.
	Progress io.Writer
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string
	// URL is the address of the API server.
	URL string
	// Etcd is the address of etcd.
	Etcd string
	// Dir is the folder of data, logs and credentials.
	Dir string

	components []*Component
	authority  *authority
	kubectl    string
	client     *http.Client
	temporary  bool
}

// Start runs a control plane for a test, and stops it at the end of the test.
func Start(t testing.TB, o Options) *ControlPlane {
	t.Helper()
	cp, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cp.Stop)
	return cp
}

// Run starts a control plane and waits until it is usable: API server and nodes are ready, and the namespace default has its
// service account and a default StorageClass exists. The caller must Stop it.
func Run(ctx context.Context, o Options) (cp *ControlPlane, err error) {
	built, err := Build(ctx, o.Version, cmp.Or[io.Writer](o.Progress, os.Stderr))
	if err != nil {
		return nil, err
	}
	cp = &ControlPlane{Dir: o.Dir, kubectl: locate("kubectl", built, resolve(o.Version))}
	if cp.Dir == "" {
		cp.temporary = true
		if cp.Dir, err = os.MkdirTemp("", "mooring-controlplane-"); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			cp.Stop()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err = cp.startServers(ctx, o, built); err != nil {
		return cp, err
	}
	if !o.WithoutControllers {
		err = cp.startControllers(ctx, o, built)
	}
	return cp, err
}

func (cp *ControlPlane) startServers(ctx context.Context, o Options, built string) error {
	ports, err := FreePorts(3)
	if err != nil {
		return err
	}
	cp.Etcd = "http://127.0.0.1:" + ports[0]
	cp.URL = "https://127.0.0.1:" + ports[2]
	if cp.authority, err = newAuthority(cp.Dir); err != nil {
		return err
	}
	if err := errors.Join(
		cp.authority.issue("apiserver", "kube-apiserver", nil, []string{"127.0.0.1", "localhost", "kubernetes.default.svc"}),
		cp.authority.issue("front-proxy", "front-proxy-client", nil, nil),
		cp.authority.issue("service-accounts", "service-accounts", nil, nil),
	); err != nil {
		return err
	}
	if cp.Kubeconfig, err = cp.KubeconfigFor("admin", "system:masters"); err != nil {
		return err
	}
	if cp.client, err = cp.adminClient(); err != nil {
		return err
	}
	err = cp.launch(o, built, "etcd",
		"--name=mooring", "--data-dir="+filepath.Join(cp.Dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		// 16 GiB: measurements fill large clusters.
		"--quota-backend-bytes=17179869184",
		"--listen-client-urls="+cp.Etcd, "--advertise-client-urls="+cp.Etcd,
		"--listen-peer-urls=http://127.0.0.1:"+ports[1], "--initial-advertise-peer-urls=http://127.0.0.1:"+ports[1],
		"--initial-cluster=mooring=http://127.0.0.1:"+ports[1])
	if err != nil {
		return err
	}
	file := cp.authority.path
	args := []string{
		"--etcd-servers=" + cp.Etcd, "--bind-address=127.0.0.1", "--secure-port=" + ports[2],
		// An Endpoints object cannot have a loopback address, and that of the default namespace is not needed.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/16", "--allow-privileged", "--authorization-mode=Node,RBAC",
		"--tls-cert-file=" + file("apiserver.crt"), "--tls-private-key-file=" + file("apiserver.key"),
		"--client-ca-file=" + file("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + file("service-accounts.crt"), "--service-account-signing-key-file=" + file("service-accounts.key"),
		"--requestheader-client-ca-file=" + file("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + file("front-proxy.crt"), "--proxy-client-key-file=" + file("front-proxy.key"),
	}
	if err := cp.launch(o, built, "kube-apiserver", append(args, o.APIServerArgs...)...); err != nil {
		return err
	}
	return cp.await(ctx, "the API server to be ready", func() error { return cp.get("/readyz", nil) })
}

func (cp *ControlPlane) startControllers(ctx context.Context, o Options, built string) error {
	ports, err := FreePorts(3)
	if err != nil {
		return err
	}
	file := cp.authority.path
	config := func(name, user string, groups ...string) string {
		path, e := cp.authority.clientKubeconfig(name, cp.URL, user, groups)
		err = errors.Join(err, e)
		return path
	}
	manager := config("kube-controller-manager", "system:kube-controller-manager")
	scheduler := config("kube-scheduler", "system:kube-scheduler")
	// kwok does the work of the kubelets, so it has the identity of one.
	nodes := config("kwok", "system:node:kwok", "system:masters")
	if err != nil {
		return err
	}
	managerArgs := []string{
		"--kubeconfig=" + manager, "--authentication-kubeconfig=" + manager, "--authorization-kubeconfig=" + manager,
		"--bind-address=127.0.0.1", "--secure-port=" + ports[0], "--cert-dir=" + cp.Dir, "--leader-elect=false",
		// Each controller has its own service account, as in kubeadm clusters.
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + file("service-accounts.key"), "--root-ca-file=" + file("ca.crt"),
		"--cluster-signing-cert-file=" + file("ca.crt"), "--cluster-signing-key-file=" + file("ca.key"),
	}
	if err := errors.Join(
		cp.launch(o, built, "kube-controller-manager", append(managerArgs, o.ControllerManagerArgs...)...),
		cp.launch(o, built, "kube-scheduler",
			"--kubeconfig="+scheduler, "--authentication-kubeconfig="+scheduler, "--authorization-kubeconfig="+scheduler,
			"--bind-address=127.0.0.1", "--secure-port="+ports[1], "--cert-dir="+cp.Dir, "--leader-elect=false"),
		cp.launch(o, built, "kwok",
			"--kubeconfig="+nodes, "--config="+filepath.Join(built, "stages.yaml"), "--manage-all-nodes",
			"--server-address=127.0.0.1:"+ports[2]),
	); err != nil {
		return err
	}
	count := cmp.Or(o.Nodes, 3)
	if err := cp.apply(ctx, storageClass+nodeList(count)); err != nil {
		return err
	}
	return cp.await(ctx, "nodes and the default service account", func() error {
		var list struct {
			Items []struct {
				Status struct {
					Conditions []struct{ Type, Status string }
				}
			}
		}
		if err := cp.get("/api/v1/nodes", &list); err != nil {
			return err
		}
		ready := 0
		for _, node := range list.Items {
			for _, c := range node.Status.Conditions {
				if c.Type == "Ready" && c.Status == "True" {
					ready++
				}
			}
		}
		if ready < count {
			return fmt.Errorf("%d of %d nodes are ready", ready, count)
		}
		return cp.get("/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

// storageClass is the class that kwok's volume stages provision.
const storageClass = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: kwok-volume
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kwok.x-k8s.io/volume
reclaimPolicy: Delete
volumeBindingMode: Immediate
allowVolumeExpansion: true
`

func nodeList(count int) string {
	var all strings.Builder
	for i := range count {
		fmt.Fprintf(&all, `---
apiVersion: v1
kind: Node
metadata:
  name: node-%d
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/hostname: node-%[1]d, kubernetes.io/os: linux, type: kwok}
`, i)
	}
	return all.String()
}

func (cp *ControlPlane) launch(o Options, built, name string, args ...string) error {
	c := &Component{Name: name, Log: filepath.Join(cp.Dir, name+".log"), path: locate(name, built, resolve(o.Version)), args: args, detached: o.Detached}
	cp.components = append(cp.components, c)
	return c.start()
}

// await polls until the condition is true, and fails early with the log of a component that ended.
func (cp *ControlPlane) await(ctx context.Context, what string, condition func() error) error {
	for {
		err := condition()
		if err == nil {
			return nil
		}
		for _, c := range cp.components {
			if failed := c.failure(); failed != nil {
				return failed
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (%w); the logs are in %s", what, err, ctx.Err(), cp.Dir)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Component returns the server with this binary, or nil.
func (cp *ControlPlane) Component(name string) *Component {
	for _, c := range cp.components {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Kubectl returns a kubectl command as the administrator; set KUBECONFIG in its Env for another user.
func (cp *ControlPlane) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, cp.kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cp.Kubeconfig)
	return cmd
}

// KubeconfigFor returns the path of a kubeconfig for a user with this name and groups.
func (cp *ControlPlane) KubeconfigFor(user string, groups ...string) (string, error) {
	name := strings.NewReplacer(":", "-", "/", "-", "@", "-").Replace(user)
	return cp.authority.clientKubeconfig(name, cp.URL, user, groups)
}

// KubeconfigForToken returns the path of a kubeconfig with the bearer token.
func (cp *ControlPlane) KubeconfigForToken(name, token string) (string, error) {
	return cp.authority.kubeconfig(name, cp.URL, map[string]string{"token": token})
}

// WaitReady waits until the API server is ready, after a restart.
func (cp *ControlPlane) WaitReady(ctx context.Context) error {
	return cp.await(ctx, "the API server to be ready", func() error { return cp.get("/readyz", nil) })
}

// Stop ends all processes, and removes a temporary folder.
func (cp *ControlPlane) Stop() {
	// Stop writers first. Do not wait the minute that the API server would drain for.
	for _, c := range slices.Backward(cp.components) {
		c.Kill()
	}
	if cp.temporary {
		os.RemoveAll(cp.Dir)
	}
}

func (cp *ControlPlane) apply(ctx context.Context, manifest string) error {
	cmd := cp.Kubectl(ctx, "apply", "--validate=false", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w: %s", err, out)
	}
	return nil
}

func (cp *ControlPlane) get(path string, into any) error {
	response, err := cp.client.Get(cp.URL + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

func (cp *ControlPlane) adminClient() (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(cp.authority.path("admin.crt"), cp.authority.path("admin.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cp.authority.cert)
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
	}, nil
}

// FreePorts returns n unused ports on 127.0.0.1.
func FreePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		// Hold all until all are chosen, so that they differ.
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
