package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Component is a server of the control plane, in its own process.
type Component struct {
	// Name is the name of its binary, such as kube-apiserver.
	Name string
	// Log is the file with its output.
	Log string

	path     string
	args     []string
	detached bool
	cmd      *exec.Cmd
	done     chan struct{}
}

// start starts the process. Unless it is detached, the kernel kills it when this process dies.
func (c *Component) start() error {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	c.cmd = exec.Command(c.path, c.args...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.Dir = filepath.Dir(c.Log)
	if c.detached {
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		err = c.cmd.Start()
	} else {
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		err = onLastingThread(c.cmd.Start)
	}
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.Name, err)
	}
	c.done = make(chan struct{})
	go func() {
		// The exit status of a killed process means nothing; its log shows the cause.
		_ = c.cmd.Wait()
		close(c.done)
	}()
	return nil
}

var (
	launcher = make(chan func())
	launch   sync.Once
)

// onLastingThread runs f on a thread that lives as long as this process. The kernel sends the parent-death signal when the thread
// that started a process ends, and Go may end threads at any time.
func onLastingThread(f func() error) error {
	launch.Do(func() {
		go func() {
			runtime.LockOSThread()
			for f := range launcher {
				f()
			}
		}()
	})
	result := make(chan error)
	launcher <- func() { result <- f() }
	return <-result
}

// Restart stops the component if it runs, and starts it again.
func (c *Component) Restart() error {
	c.Kill()
	return c.start()
}

// Kill kills the process like a crash, and returns when it is gone.
func (c *Component) Kill() { c.end(syscall.SIGKILL) }

// Pause suspends the process, like a server that hangs; Resume continues it.
func (c *Component) Pause() error { return c.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (c *Component) Resume() error { return c.cmd.Process.Signal(syscall.SIGCONT) }

// PID is the process's ID.
func (c *Component) PID() int { return c.cmd.Process.Pid }

func (c *Component) end(signal syscall.Signal) {
	if c.cmd == nil || c.cmd.Process == nil {
		return
	}
	if err := c.cmd.Process.Signal(signal); errors.Is(err, os.ErrProcessDone) {
		<-c.done
		return
	}
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// failure returns the error for a component that ended by itself, with its last output.
func (c *Component) failure() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s ended: %s", c.Name, c.tail())
	default:
		return nil
	}
}

func (c *Component) tail() string {
	data, err := os.ReadFile(c.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return c.Log + " ends with\n" + strings.Join(lines[max(0, len(lines)-15):], "\n")
}
