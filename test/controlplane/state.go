package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// saved is what Save stores of a detached control plane.
type saved struct {
	Kubeconfig, URL, Kubectl string
	PIDs                     []int
}

const stateFile = "controlplane.json"

// Save stores a detached control plane in its folder, for other processes.
func (cp *ControlPlane) Save() error {
	s := saved{Kubeconfig: cp.Kubeconfig, URL: cp.URL, Kubectl: cp.kubectl}
	for _, c := range cp.components {
		s.PIDs = append(s.PIDs, c.PID())
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(cp.Dir, stateFile), data, 0o600)
}

// Saved is a control plane that another process started.
type Saved struct {
	// Kubeconfig is the path of the administrator's kubeconfig, Kubectl that of its kubectl.
	Kubeconfig, Kubectl string

	dir  string
	pids []int
}

// Find returns the control plane saved in dir, or nil if none of its processes runs.
func Find(dir string) (*Saved, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, stateFile), err)
	}
	found := &Saved{Kubeconfig: s.Kubeconfig, Kubectl: s.Kubectl, dir: dir}
	for _, pid := range s.PIDs {
		if isOurs(pid, dir) {
			found.pids = append(found.pids, pid)
		}
	}
	if len(found.pids) == 0 {
		return nil, nil
	}
	return found, nil
}

// Stop ends the processes, the last started first, and removes the folder.
func (s *Saved) Stop() error {
	for i := len(s.pids) - 1; i >= 0; i-- {
		if err := syscall.Kill(s.pids[i], syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		for isOurs(s.pids[i], s.dir) {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return os.RemoveAll(s.dir)
}

// isOurs reports whether the process is still the one that was started, not another with the same PID: ours have the folder in
// their arguments.
func isOurs(pid int, dir string) bool {
	arguments, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && bytes.Contains(arguments, []byte(dir))
}
