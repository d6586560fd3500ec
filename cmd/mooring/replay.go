package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mooring-dev/mooring/policies/native"
	"github.com/mooring-dev/mooring/policies/words"
	"github.com/mooring-dev/mooring/replay"
	"github.com/mooring-dev/mooring/report"
)

func newReplay() *cobra.Command {
	var (
		policies policyFlags
		outputs  report.Outputs[report.Report]
		options  replay.Options
	)
	cmd := &cobra.Command{
		Use:   "replay AUDIT-LOG...",
		Short: "Report what policies would have done with the requests in an audit log",
		Long: `Replay reads audit logs of the API server (JSON lines, plain or gzipped; - is the standard input), rebuilds each change in order,
and reports what the policies would have denied, warned about or changed, by rule, user, tool and namespace. It needs no cluster.
docs/replay.md shows the audit policy that records what it needs.

Several logs are read in order of time, whatever the order in which you name them: rotated files, or logs of several API servers.
The exit code is 2 if a line could not be read, and 0 otherwise.`,
		Example: `  # What would the restricted profile have refused last week?
  mooring replay --profile=restricted /var/log/kubernetes/audit*.log

  # What would this policy have refused?
  ssh control-plane cat /var/log/kubernetes/audit.log | mooring replay --policy=policy.yaml -

  # Which users would have been refused, as JSON
  mooring replay -o json audit.log.gz | jq '.replay.groups[] | select(.by == "user")'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var err error
			if options.Policies, err = policies.load(); err != nil {
				return err
			}
			logs, closeAll, err := openLogs(files, cmd.InOrStdin())
			defer closeAll()
			if err != nil {
				return err
			}
			found := replay.Logs(logs, options)
			found.Command, found.Subject, found.Time, found.Version = "replay", words.List(files), time.Now(), buildVersion()
			if err := outputs.Write(found, cmd.OutOrStdout()); err != nil {
				return err
			}
			if n := len(found.Errors); n > 0 {
				return fmt.Errorf("the logs are damaged: %s, see the report", words.Plural(n, "error"))
			}
			return nil
		},
	}
	policies.add(cmd)
	addOutputFlag(cmd, &outputs, report.Formats)
	cmd.Flags().StringSliceVar(&options.ExcludedNamespaces, "exclude-namespaces", native.DefaultExcludedNamespaces,
		"namespaces that are not judged")
	cmd.Flags().IntVar(&options.MostListed, "limit", 1000, "number of findings to list; all are counted")
	return cmd
}

// openLogs opens the files; - is standard input. The caller must call the returned function, even after an error.
func openLogs(files []string, stdin io.Reader) ([]replay.Log, func(), error) {
	var logs []replay.Log
	var opened []io.Closer
	closeAll := func() {
		for _, file := range opened {
			file.Close()
		}
	}
	fromStdin := false
	for _, name := range files {
		if name == "-" {
			if fromStdin {
				return nil, closeAll, errors.New("the standard input can be read only once")
			}
			fromStdin = true
			logs = append(logs, replay.Log{Name: "stdin", Reader: stdin})
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return nil, closeAll, err
		}
		opened = append(opened, file)
		logs = append(logs, replay.Log{Name: name, Reader: file})
	}
	return logs, closeAll, nil
}
