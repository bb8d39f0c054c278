package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

// decision is a command that decides about the releases of invocations.
type decision struct {
	view
	reason  string
	wait    bool
	timeout time.Duration
}

// decide says something about one invocation.
type decide func(context.Context, operator.Decision) (operator.Decided, error)

func (d *decision) addFlags(command *cobra.Command, reason string) {
	d.view.addFlags(command)
	command.Flags().StringVar(&d.reason, "reason", "", reason)
}

// all decides about each invocation, whatever becomes of the others.
func (d *decision) all(command *cobra.Command, invocations []string, say decide) ([]operator.Decided, error) {
	made := []operator.Decided{}
	var failures []error
	for _, id := range invocations {
		decided, err := say(command.Context(), operator.Decision{Invocation: id, Reason: d.reason})
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", id, err))
			continue
		}
		made = append(made, decided)
	}
	if err := d.write(command.OutOrStdout(), made); err != nil {
		failures = append(failures, err)
	}
	return made, errors.Join(failures...)
}

func (d *decision) write(w io.Writer, made []operator.Decided) error {
	if d.format == "json" {
		if d.wait {
			return nil // the wait's end is one document
		}
		return writeIndented(w, made)
	}
	for _, decided := range made {
		if _, err := fmt.Fprintf(w, "%s: %s\n", decided.InvocationID, table.Printable(explain(decided, d.wait))); err != nil {
			return err
		}
	}
	return nil
}

// explain says what a decision has changed, and how to see the rest if nobody waits for it.
func explain(decided operator.Decided, waited bool) string {
	release := decided.Release
	next := func(text string) string {
		if waited {
			return ""
		}
		return "; " + text
	}
	reason := ""
	if release.Reason != "" {
		reason = ": " + release.Reason
	}
	switch release.State {
	case operator.ReleaseOpen:
		return "the tags move" + next("drayage wait "+decided.InvocationID+" waits for them")
	case operator.ReleaseWaiting:
		return "approved, and the tags still wait" + reason
	}
	if decided.Pushes > 0 {
		return "the tags of " + counted(decided.Pushes, "push", "pushes") + " move back" +
			next("drayage ledger --invocation "+decided.InvocationID+" shows them")
	}
	if release.Class == string(ledger.RolledBack) {
		return "tags that move now are moved back, and the others do not move" + reason
	}
	return "the tags do not move" + reason
}

// await waits for invocations as drayage wait does.
func await(command *cobra.Command, client *operator.Client, invocations []string, timeout time.Duration) (waitReport, error) {
	ctx, cancel := context.WithTimeoutCause(command.Context(), timeout, errTimeUp)
	defer cancel()
	list, err := newWaiter(command, client).wait(ctx, invocations)
	return newWaitReport(list, false), err
}

// await waits until the tags have moved, or cannot, and writes how they stand.
func (d *decision) await(command *cobra.Command, client *operator.Client, invocations []string) (waitReport, error) {
	report, err := await(command, client, invocations, d.timeout)
	if err != nil {
		return report, err
	}
	return report, waitFormats[d.format](command.OutOrStdout(), report)
}

// dial makes a client of the daemon that the flags name, once they are checked.
func (d *decision) dial() (*operator.Client, error) {
	if d.format != "table" && d.format != "json" {
		return nil, fmt.Errorf("--format: %q must be table or json", d.format)
	}
	return dial(d.daemon)
}

func newRejectCommand() *cobra.Command {
	var d decision
	command := &cobra.Command{
		Use:   "reject INVOCATION_ID…",
		Short: "Decide that the tags of Bazel invocations do not move",
		Long: `Close the releases of Bazel invocations whose tags wait at a gate: the tags do not move,
and the pushes are withheld. The images stay in their registries, by their digests.

The ledger has who rejected an invocation, and why. The daemon's policy says who may, in
promote. What has been released is not rejected but rolled back: drayage rollback.

The exit code is 0 if all invocations are rejected, and 1 if one cannot be.`,
		Example: `  drayage reject 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11 --reason "the canary reports errors"`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := d.dial()
			if err == nil {
				_, err = d.all(command, args, client.Reject)
			}
			return err
		},
	}
	d.addFlags(command, "why: a `TEXT` for those whose build it is")
	require(command, "reason")
	return command
}

func newRollbackCommand() *cobra.Command {
	var d decision
	command := &cobra.Command{
		Use:   "rollback INVOCATION_ID…",
		Short: "Move the tags of Bazel invocations back",
		Long: `Move the tags that Bazel invocations moved back to the images that they pointed to
before, as the ledger tells. A tag that is new is removed, if its registry can do that.
A tag that somebody has moved since is left alone, and the row in the ledger says so.
The images stay in their registries, by their digests. What waits at a gate does not move
any more.

It works for all builds, with a gate and without. Newer builds move the tags again; the
same build moves them only if it is promoted. The ledger has who rolled an invocation
back, and why. The daemon's policy says who may, in promote.

The exit code is 0 if the daemon moves the tags back, and 1 if it cannot. With --wait the
command ends when they are back, and the exit code is 1 if a tag was left alone.`,
		Example: `  drayage rollback 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11 --reason "v1.2.0 loses orders" --wait`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := d.dial()
			if err != nil {
				return err
			}
			made, err := d.all(command, args, client.Rollback)
			if err != nil || !d.wait {
				return err
			}
			report, err := d.await(command, client, args)
			if err != nil {
				return err
			}
			return movedBack(made, report)
		},
	}
	d.addFlags(command, "why: a `TEXT` for those whose build it is")
	command.Flags().BoolVar(&d.wait, "wait", false, "wait until the tags are back, and show what became of each push")
	command.Flags().DurationVar(&d.timeout, "timeout", 10*time.Minute, "how long to wait")
	return command
}

// movedBack is nil if every tag that was to move back has.
func movedBack(made []operator.Decided, report waitReport) error {
	wanted, back, alone := 0, 0, 0
	for _, decided := range made {
		wanted += decided.Pushes
	}
	for _, it := range report.Invocations {
		for _, e := range it.Pushes {
			switch {
			case e.Outcome != ledger.RolledBack:
			case e.Error == "":
				back++
			default:
				alone++
			}
		}
	}
	switch {
	case alone > 0:
		return fmt.Errorf("%s not moved back whole: the rows above say which tags were left alone", counted(alone, "push is", "pushes are"))
	case back < wanted:
		return fmt.Errorf("%d of %d pushes are rolled back: see above", back, wanted)
	}
	return nil
}
