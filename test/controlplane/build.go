package controlplane

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// recipes has, for each Kubernetes version, the go.mod and go.sum that the programs are built with. kwok has its own if it does not
// work with the libraries of that version. Their names differ here, because go:embed skips folders with a go.mod.
//
//go:embed versions
var recipes embed.FS

// DefaultVersion is the Kubernetes version that is built by default.
const DefaultVersion = "v1.37"

// VersionVariable is the environment variable for another version ("v1.34" or "1.34"), so that one suite runs on several.
const VersionVariable = "MOORING_TEST_K8S"

// resolve returns the requested version: the caller's, the environment's, or DefaultVersion.
func resolve(version string) string {
	version = cmp.Or(version, os.Getenv(VersionVariable), DefaultVersion)
	return "v" + strings.TrimPrefix(version, "v")
}

// program is a binary with the package that it is built from.
type program struct{ name, pkg string }

var programs = []program{
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"},
	{"kwok", "sigs.k8s.io/kwok/cmd/kwok"},
}

// Build returns the folder with the control plane's binaries of that version ("v1.37"; by default VersionVariable or
// DefaultVersion). It builds those that are neither installed nor in the user's cache, which takes minutes once and reports to
// progress. Modules come from the Go module cache, so a second build needs no network.
func Build(ctx context.Context, version string, progress io.Writer) (string, error) {
	version = resolve(version)
	key, err := recipeKey(version)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "mooring", "controlplane", key)
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	missing := map[string][]program{}
	for _, p := range programs {
		if found := locate(p.name, dir, version); !isExecutable(found) {
			recipe := recipeOf(version, p.name)
			missing[recipe] = append(missing[recipe], p)
		} else if filepath.Dir(found) != dir {
			fmt.Fprintf(progress, "%s is installed: %s\n", p.name, found)
		}
	}
	for recipe, programs := range missing {
		if err := build(ctx, version, recipe, programs, dir, progress); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// recipeOf returns the name of a program's recipe.
func recipeOf(version, program string) string {
	if _, err := fs.Stat(recipes, "versions/"+version+"/"+program+".mod"); err == nil {
		return program
	}
	return "kubernetes"
}

// build builds programs with one recipe, all at once, so that compiler and linker keep every processor busy. It builds beside dir and
// moves the result, so that an interrupted build is never used.
func build(ctx context.Context, version, recipe string, programs []program, dir string, progress io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := writeRecipe(version, recipe, work); err != nil {
		return err
	}
	flags, err := versionFlags(version)
	if err != nil {
		return err
	}
	var names, packages []string
	for _, p := range programs {
		names, packages = append(names, p.name), append(packages, p.pkg)
	}
	all, err := goTool(ctx, work, io.Discard, append([]string{"list", "-deps"}, packages...)...)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "Building %s of Kubernetes %s; this takes several minutes the first time.\n", strings.Join(names, ", "), version)
	start := time.Now()
	bin := filepath.Join(work, "bin")
	counted := &compiled{of: strings.Count(all, "\n"), progress: progress}
	// Without inlining and debug information, compiling takes three quarters of the time.
	args := []string{"build", "-v", "-trimpath", "-gcflags", "all=-l -dwarf=false", "-ldflags", flags, "-o", bin + "/"}
	if _, err := goTool(ctx, work, counted, append(args, packages...)...); err != nil {
		return err
	}
	fmt.Fprintf(progress, "Built in %.0f s.\n", time.Since(start).Seconds())
	if slices.Contains(names, "kwok") {
		if err := copyStages(ctx, work, filepath.Join(dir, "stages.yaml")); err != nil {
			return err
		}
	}
	for _, p := range programs {
		if err := os.Rename(filepath.Join(bin, path.Base(strings.TrimSuffix(p.pkg, "/v3"))), filepath.Join(dir, p.name)); err != nil {
			return err
		}
	}
	return nil
}

// versionFlags make the programs report their version: clients refuse a server whose version they cannot parse.
func versionFlags(version string) (string, error) {
	release, err := pinned(version, "k8s.io/kubernetes")
	if err != nil {
		return "", err
	}
	flags := "-s -w"
	parts := strings.Split(strings.TrimPrefix(release, "v"), ".")
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s -X %[1]s.gitTreeState=clean",
			pkg, release, parts[0], parts[1])
	}
	return flags, nil
}

// compiled counts the packages that go build -v names, and reports each tenth of them.
type compiled struct {
	of, done, tenths int
	progress         io.Writer
}

func (c *compiled) Write(names []byte) (int, error) {
	c.done += bytes.Count(names, []byte("\n"))
	if tenths := 10 * c.done / max(c.of, 1); tenths > c.tenths {
		c.tenths = tenths
		fmt.Fprintf(c.progress, "  %d of %d packages\n", c.done, c.of)
	}
	return len(names), nil
}

// copyStages collects the stages of nodes, Pods and volumes from kwok's module in one file.
func copyStages(ctx context.Context, source, file string) error {
	module, err := goTool(ctx, source, io.Discard, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for _, stage := range []string{"node/fast", "node/heartbeat", "pod/fast", "volume/fast"} {
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(module), "kustomize/stage", stage, "*.yaml"))
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			// There are also files for kustomize and a StorageClass.
			if bytes.Contains(data, []byte("kind: Stage")) {
				fmt.Fprintf(&all, "---\n%s\n", data)
			}
		}
	}
	if all.Len() == 0 {
		return errors.New("kwok's module holds no stages where they are expected")
	}
	return os.WriteFile(file, all.Bytes(), 0o644)
}

// goTool runs go in a folder and returns what it prints. log gets its other output, which the error quotes.
func goTool(ctx context.Context, dir string, log io.Writer, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	var stderr bytes.Buffer
	cmd.Stderr = io.MultiWriter(&stderr, log)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s\nThe modules come through GOPROXY (%s): the first build needs it to be reachable",
			args[0], err, strings.TrimSpace(stderr.String()), os.Getenv("GOPROXY"))
	}
	return string(out), nil
}

func writeRecipe(version, recipe, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{recipe + ".mod": "go.mod", recipe + ".sum": "go.sum"} {
		data, err := recipes.ReadFile("versions/" + version + "/" + from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pinned returns the version of a module in the recipe.
func pinned(version, module string) (string, error) {
	data, err := recipes.ReadFile("versions/" + version + "/kubernetes.mod")
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(data)
	if found == nil {
		return "", fmt.Errorf("the recipe of %s requires no %s", version, module)
	}
	return string(found[1]), nil
}

// recipeKey identifies a build by its recipe. The error lists the available versions.
func recipeKey(version string) (string, error) {
	sum := sha256.New()
	files, err := fs.Glob(recipes, "versions/"+version+"/*")
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		all, _ := fs.Glob(recipes, "versions/*")
		for i := range all {
			all[i] = filepath.Base(all[i])
		}
		return "", fmt.Errorf("no recipe for Kubernetes %q; there are %s", version, strings.Join(all, ", "))
	}
	slices.Sort(files)
	for _, name := range files {
		data, err := recipes.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.Base(name), len(data))
		sum.Write(data)
	}
	return fmt.Sprintf("%s-%s-%s-%x", version, runtime.GOOS, runtime.GOARCH, sum.Sum(nil)[:6]), nil
}

// lock waits for the file's lock, so that only one of several processes builds.
func lock(path string) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// locate returns the path of a binary: from KUBEBUILDER_ASSETS if it has it; else etcd and a kube-apiserver of that version ("v1.37")
// from PATH, if they are installed; else from the build.
func locate(name, built, version string) string {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		if path := filepath.Join(assets, name); isExecutable(path) {
			return path
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		switch name {
		case "etcd":
			return path
		case "kube-apiserver":
			if is, err := exec.Command(path, "--version").Output(); err == nil && strings.HasPrefix(string(is), "Kubernetes "+version+".") {
				return path
			}
		}
	}
	return filepath.Join(built, name)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}
