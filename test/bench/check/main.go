// Command check measures mooring check as a whole process: it generates sets of manifests of several sizes, runs the program
// on each a few times, and prints the wall time and the peak memory. With -beside it measures kube-score on the same sets, in turn.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	program := flag.String("mooring", "bin/mooring", "the program to measure")
	runs := flag.Int("runs", 7, "how often to run it on each set; the median counts")
	sizes := flag.String("objects", "1,819,1000,4000,16000", "sizes of the sets")
	beside := flag.String("beside", "", "kube-score, to measure on sets of -files too")
	files := flag.String("files", "115,300", "numbers of files of the sets for -beside")
	keep := flag.String("keep", "", "folder to leave the sets in (default: a temporary one)")
	flag.Parse()
	measured := func() error { return run(*program, *runs, *sizes, *keep) }
	if *beside != "" {
		measured = func() error { return compare(*program, *beside, *runs, *files) }
	}
	if err := measured(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program string, runs int, sizes, keep string) error {
	folder := keep
	if folder == "" {
		temporary, err := os.MkdirTemp("", "mooring-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		folder = temporary
	}
	start, err := measure(runs, program, "version", "--short")
	if err != nil {
		return err
	}
	fmt.Printf("%-34s %8s %8s %8s %9s\n", "", "fastest", "median", "CPU", "memory")
	start.print("to start and say its version")
	for size := range strings.SplitSeq(sizes, ",") {
		objects, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		set := filepath.Join(folder, size)
		files, bytes, err := generate(set, objects)
		if err != nil {
			return err
		}
		taken, err := measure(runs, program, "check", set, "-o", "json")
		if err != nil {
			return err
		}
		taken.print(fmt.Sprintf("%d objects, %d files, %.1f MB", objects, files, float64(bytes)/1e6))
	}
	return nil
}

// compare measures both programs on the same sets in turn, so that other load affects both.
func compare(program, other string, runs int, sizes string) error {
	folder, err := os.MkdirTemp("", "mooring-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	fmt.Printf("| set | program | fastest | median | processor | memory |\n| --- | --- | --- | --- | --- | --- |\n")
	for size := range strings.SplitSeq(sizes, ",") {
		files, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		set := filepath.Join(folder, size)
		objects, bytes, err := generateFiles(set, files)
		if err != nil {
			return err
		}
		names, err := filepath.Glob(filepath.Join(set, "*.yaml"))
		if err != nil {
			return err
		}
		var mine, others taken
		for range runs {
			if err := mine.measure(program, "check", set, "-o", "json"); err != nil {
				return err
			}
			if err := others.measure(other, append([]string{"score", "--output-format", "json"}, names...)...); err != nil {
				return err
			}
		}
		what := fmt.Sprintf("%d files, %d objects, %.1f MB", files, objects, float64(bytes)/1e6)
		mine.row(what, "mooring check")
		others.row(what, "kube-score")
	}
	return nil
}

// taken has the results of several runs.
type taken struct {
	walls, cpus []time.Duration
	// peak is the maximum resident memory of all runs, in bytes.
	peak int64
}

func (t taken) print(what string) {
	slices.Sort(t.walls)
	slices.Sort(t.cpus)
	fmt.Printf("%-34s %6d ms %6d ms %6d ms %5.1f MiB\n", what, t.walls[0].Milliseconds(), t.walls[len(t.walls)/2].Milliseconds(),
		t.cpus[len(t.cpus)/2].Milliseconds(), float64(t.peak)/(1<<20))
}

// row prints a row of a Markdown table.
func (t taken) row(set, program string) {
	slices.Sort(t.walls)
	slices.Sort(t.cpus)
	middle := len(t.walls) / 2
	fmt.Printf("| %s | %s | %d ms | %d ms | %d ms | %.0f MiB |\n", set, program, t.walls[0].Milliseconds(), t.walls[middle].Milliseconds(),
		t.cpus[middle].Milliseconds(), float64(t.peak)/(1<<20))
}

func measure(runs int, program string, args ...string) (taken, error) {
	var t taken
	for range runs {
		if err := t.measure(program, args...); err != nil {
			return t, err
		}
	}
	return t, nil
}

// measure runs the program once more. Exit code 1 means findings, which are expected.
func (t *taken) measure(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	t.walls = append(t.walls, time.Since(began))
	t.cpus = append(t.cpus, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.peak = max(t.peak, usage.Maxrss*1024)
	}
	return nil
}

// generateFiles writes a set of files with an application in each. It returns the number of objects and their bytes.
func generateFiles(folder string, files int) (objects, bytes int, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return 0, 0, err
	}
	for app := range files {
		of := application(app)
		text := "---\n" + strings.Join(of, "---\n")
		objects, bytes = objects+len(of), bytes+len(text)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("app-%04d.yaml", app)), []byte(text), 0o644); err != nil {
			return 0, 0, err
		}
	}
	return objects, bytes, nil
}

// generate writes a set with this many objects: applications of a database and its clients, each in its own namespace, in files of
// about 35 KB. It returns the number of files and their bytes.
func generate(folder string, objects int) (files, bytes int, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return 0, 0, err
	}
	var text strings.Builder
	flush := func() error {
		if text.Len() == 0 {
			return nil
		}
		files, bytes = files+1, bytes+text.Len()
		defer text.Reset()
		return os.WriteFile(filepath.Join(folder, fmt.Sprintf("apps-%04d.yaml", files)), []byte(text.String()), 0o644)
	}
	for app, left := 0, objects; left > 0; app++ {
		for _, o := range application(app) {
			if left--; left < 0 {
				break
			}
			text.WriteString("---\n" + o)
		}
		if text.Len() > 30_000 {
			if err := flush(); err != nil {
				return files, bytes, err
			}
		}
	}
	return files, bytes, flush()
}
