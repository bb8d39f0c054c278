package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

func newWaitCommand() *cobra.Command {
	var daemon, format string
	var timeout, away, interval time.Duration
	var supersededFails bool

	command := &cobra.Command{
		Use:   "wait INVOCATION_ID…",
		Short: "Wait until the pushes of Bazel invocations are done",
		Long: `Wait until Bazel's event streams of invocations have ended and all their pushes are
done, and print what became of them. A push is expected of every push target that
Bazel configured: one that Bazel could not build is missing, and not done.

The exit code, and the word at the end of the output, say how it went:

   0  done: all images are in their places
   1  failed: a push failed
   2  the wait could not begin: a flag is wrong, or the daemon refuses to answer
   3  denied: the policy or the registry refused a push
   4  withheld: a push keeps its tags back (no daemon does that yet)
   5  cancelled: somebody called a push off
   6  superseded: a newer build has a tag; 0, unless --superseded-fails is given
   7  incomplete: a push was expected and never came, since its target was not
      built, or the build's event stream broke off
   8  timed-out: time is up, and the pushes go on
   9  unknown: time is up, and the daemon has not heard of the invocation
  10  unreachable: the daemon cannot be reached

If several hold, the first of these counts: 10, 9, 8, 1, 3, 4, 5, 7, 6.

A daemon that restarts meanwhile is waited for, for as long as --away says.

Choose the invocation id yourself to know it: bazel build --invocation_id=$(uuidgen)`,
		Example: `  drayage wait 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11 --timeout 10m
  drayage wait "$id" --format env >pushed.env`,
		Args: func(command *cobra.Command, args []string) error {
			return notBegun(cobra.MinimumNArgs(1)(command, args))
		},
		RunE: func(command *cobra.Command, args []string) error {
			write, known := waitFormats[format]
			if !known {
				return notBegun(fmt.Errorf("--format: %q must be table, json, env or github", format))
			}
			client, err := dial(daemon)
			if err != nil {
				return notBegun(err)
			}
			ctx, cancel := context.WithTimeoutCause(command.Context(), timeout, errTimeUp)
			defer cancel()
			w := &waiter{client: client, interval: interval, away: away, progress: command.ErrOrStderr(), terminal: isTerminal(command.ErrOrStderr())}
			list, err := w.wait(ctx, args)
			if err != nil {
				return notBegun(err)
			}
			report := waitReport{Result: waitDone, Invocations: list}
			for _, it := range list {
				report.Result = worst(report.Result, it.Result)
			}
			report.ExitCode = report.Result.exitCode()
			if report.Result == waitSuperseded && !supersededFails {
				report.ExitCode = 0
			}
			if err := write(command.OutOrStdout(), report); err != nil {
				return err
			}
			if report.ExitCode != 0 {
				return &exitError{code: report.ExitCode, err: errors.New(string(report.Result) + ": see above")}
			}
			return nil
		},
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return notBegun(err) })
	flags := command.Flags()
	flags.SortFlags = false
	addDaemonFlag(command, &daemon)
	flags.DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait")
	flags.DurationVar(&away, "away", time.Minute, "how long the daemon may be unreachable")
	flags.DurationVar(&interval, "interval", 500*time.Millisecond, "how often to ask")
	flags.StringVarP(&format, "format", "o", "table", "table, json, env (variables for a shell) or github (annotations, and outputs of the step)")
	flags.BoolVar(&supersededFails, "superseded-fails", false, "exit with 6 if a newer build has a tag")
	return command
}

// isTerminal says whether a person sees at once what is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns what was wrong.
func (e *exitError) Unwrap() error { return e.err }

// notBegun is the error of a wait that could not begin.
func notBegun(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitNotBegun, err: err}
}
