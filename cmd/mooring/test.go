package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/policies/ruletest"
	"github.com/mooring-dev/mooring/policies/words"
	"github.com/mooring-dev/mooring/report"
)

type testOptions struct {
	run     string
	only    *regexp.Regexp
	watch   bool
	outputs report.Outputs[report.Tests]
}

func newTest() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test [PATH]...",
		Short: "Run tests of StatefulPolicies",
		Long: `Test runs test files: YAML of kind PolicyTest that names StatefulPolicies, and the findings and defaults that they must have for each
request. It reads the test files of the current folder, or of the files and folders that you name. It needs no cluster. docs/test.md
describes the format and names a JSON schema for editors.

The exit code is 0 if every case passes, 1 if one fails, and 2 if a test file could not be read or there is none.`,
		Example: `  # All tests below a folder
  mooring test policies

  # Run again whenever a file changes
  mooring test policies --watch

  # In CI, with a JUnit report
  mooring test policies -o text -o junit=policy-tests.xml

  # Only the cases whose names match
  mooring test policies --run='three to (one|zero)'`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				paths = []string{"."}
			}
			var err error
			if o.only, err = regexp.Compile(o.run); err != nil {
				return fmt.Errorf("--run: %w", err)
			}
			if o.watch {
				return o.again(cmd, paths)
			}
			_, err = o.once(cmd, paths)
			return err
		},
	}
	cmd.Flags().StringVar(&o.run, "run", "", "run only the cases whose names match this regular expression")
	cmd.Flags().BoolVar(&o.watch, "watch", false, "run again whenever a file changes, until interrupted")
	addOutputFlag(cmd, &o.outputs, report.TestFormats)
	return cmd
}

// once plays the tests in the paths, and returns the files that it read.
func (o *testOptions) once(cmd *cobra.Command, paths []string) ([]string, error) {
	names, err := ruletest.Find(paths)
	if err != nil {
		return nil, err
	}
	reads := names
	var played report.Tests
	bar := newReading(cmd.ErrOrStderr())
	for i, name := range names {
		bar.show(i, len(names), "test files")
		file, err := ruletest.Load(name)
		if err != nil {
			played.Errors = append(played.Errors, testError(name, err))
			continue
		}
		reads = append(reads, file.Reads()...)
		for _, c := range file.Cases {
			if !o.only.MatchString(c.Name) {
				continue
			}
			result, err := c.Run()
			at := report.Position{File: name, Line: c.Line()}
			if err != nil {
				played.Errors = append(played.Errors, report.Error{Position: at, Message: err.Error()})
				continue
			}
			played.Cases = append(played.Cases, report.TestCase{Name: c.Name, Position: at, Findings: result.Findings, Wrong: result.Wrong})
		}
	}
	bar.clear()
	if err := o.outputs.Write(played, cmd.OutOrStdout()); err != nil {
		return reads, err
	}
	switch {
	case len(played.Errors) > 0:
		return reads, fmt.Errorf("not everything could be tested: %s, see the report", words.Plural(len(played.Errors), "error"))
	case len(names) == 0:
		return reads, fmt.Errorf("no test was run: there is no file of kind %s in %v", ruletest.Kind, paths)
	case len(played.Cases) == 0:
		return reads, fmt.Errorf("no test was run: --run=%s matches no case", o.run)
	case played.Failed() > 0:
		return reads, foundError{fmt.Errorf("%s failed", words.Plural(played.Failed(), "case"))}
	}
	return reads, nil
}

func testError(name string, err error) report.Error {
	var placed *ruletest.Error
	if errors.As(err, &placed) {
		return report.Error{Position: report.Position{File: placed.File, Line: placed.Line}, Message: placed.Err.Error()}
	}
	return report.Error{Position: report.Position{File: name}, Message: err.Error()}
}

// again plays the tests now and after each change of a file, until it is interrupted.
func (o *testOptions) again(cmd *cobra.Command, paths []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	changes, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("--watch: %w", err)
	}
	defer changes.Close()
	for {
		reads, err := o.once(cmd, paths)
		if err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "mooring:", err)
		}
		// Editors replace a file, which only a watch on the folder shows.
		for _, name := range append(foldersBelow(paths), reads...) {
			if info, err := os.Stat(name); err == nil && !info.IsDir() {
				name = filepath.Dir(name)
			}
			if err := changes.Add(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("--watch: %s: %w", name, err)
			}
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "waiting for a change; press Ctrl-C to stop")
		if !changed(ctx, changes, cmd.ErrOrStderr()) {
			return nil
		}
	}
}

// changed waits for a change, and until no other follows. It reports whether there was one before the context ended.
func changed(ctx context.Context, changes *fsnotify.Watcher, stderr io.Writer) bool {
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case err := <-changes.Errors:
			fmt.Fprintln(stderr, "mooring: --watch:", err)
		case event := <-changes.Events:
			if !event.Has(fsnotify.Chmod) {
				settled = time.After(100 * time.Millisecond)
			}
		case <-settled:
			return true
		}
	}
}

// foldersBelow returns the folders in the paths and below them, where test files can be created.
func foldersBelow(paths []string) []string {
	var all []string
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(name string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				if name != path && entry.Name()[0] == '.' {
					return filepath.SkipDir
				}
				all = append(all, name)
			}
			return nil
		})
	}
	return all
}
