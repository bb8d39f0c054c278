package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

func newWaitCommand() *cobra.Command {
	var daemon, format, until string
	var timeout, away, interval time.Duration
	var supersededFails bool

	command := &cobra.Command{
		Use:   "wait INVOCATION_ID…",
		Short: "Wait until the pushes of Bazel invocations are done",
		Long: `Wait until Bazel's event streams of invocations have ended and all their pushes are
done, and print what became of them. A push is expected of every push target that
Bazel configured: one that Bazel could not build is missing, and not done.

Tags may wait at a gate: until the build has ended well, or until somebody promotes it
(drayage promote). The wait goes on until the tags have moved, or cannot. With --until
staged it ends as soon as all images are in their registries, by their digests.

The exit code, and the word at the end of the output, say how it went:

   0  done: all images are in their places, or staged with --until staged
   1  failed: a push failed
   2  the wait could not begin: a flag is wrong, or the daemon refuses to answer
   3  denied: the policy or the registry refused a push
   4  withheld: images are in their registries, and their tags did not move, since the
      build ended badly, was rejected or waited for too long; or rolled-back: their tags
      were moved back
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
  drayage wait "$id" --until staged && smoke-test "$id" && drayage promote "$id"
  drayage wait "$id" --format env >pushed.env`,
		Args: func(command *cobra.Command, args []string) error {
			return notBegun(cobra.MinimumNArgs(1)(command, args))
		},
		RunE: func(command *cobra.Command, args []string) error {
			write, known := waitFormats[format]
			if !known {
				return notBegun(fmt.Errorf("--format: %q must be table, json, env or github", format))
			}
			if until != untilStaged && until != untilPushed {
				return notBegun(fmt.Errorf("--until: %q must be staged or pushed", until))
			}
			if timeout <= 0 {
				return notBegun(fmt.Errorf("--timeout: %s must be greater than 0", timeout))
			}
			if slices.Contains(args, "") {
				return notBegun(errors.New("an invocation's id must not be empty: is a variable of your script not set?"))
			}
			client, err := dial(daemon)
			if err != nil {
				return notBegun(err)
			}
			ctx, cancel := context.WithTimeoutCause(command.Context(), timeout, errTimeUp)
			defer cancel()
			w := newWaiter(command, client)
			w.until, w.interval, w.away = until, interval, away
			list, err := w.wait(ctx, args)
			if err != nil {
				return notBegun(err)
			}
			report := newWaitReport(list, supersededFails)
			if err := write(command.OutOrStdout(), report); err != nil {
				return err
			}
			return report.err()
		},
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return notBegun(err) })
	flags := command.Flags()
	flags.SortFlags = false
	addDaemonFlag(command, &daemon)
	flags.StringVar(&until, "until", untilPushed, "what to wait for: staged (all images are in their registries, by their digests) or pushed (their tags have moved, too)")
	flags.DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait")
	flags.DurationVar(&away, "away", waitAwayFor, "how long the daemon may be unreachable")
	flags.DurationVar(&interval, "interval", waitInterval, "how often to ask")
	flags.StringVarP(&format, "format", "o", "table", "table, json, env (variables for a shell) or github (annotations, and outputs of the step)")
	flags.BoolVar(&supersededFails, "superseded-fails", false, "exit with 6 if a newer build has a tag")
	return command
}

// What --until takes.
const (
	untilStaged = "staged"
	untilPushed = "pushed"
)

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
