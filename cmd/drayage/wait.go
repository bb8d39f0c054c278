package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

func newWaitCommand() *cobra.Command {
	var daemon string
	var timeout, interval time.Duration

	command := &cobra.Command{
		Use:   "wait INVOCATION_ID",
		Short: "Wait until the pushes of a Bazel invocation are done",
		Long: `Wait until a Bazel invocation has ended and all its pushes are done, then print them.
The command fails if a push failed or was denied.

To know the invocation ID, choose it yourself: bazel build --invocation_id=$(uuidgen)`,
		Example: `  drayage wait 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11 --timeout 10m`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := dial(daemon)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(command.Context(), timeout)
			defer cancel()
			invocation, err := waitUntilDone(ctx, client, args[0], interval, command.ErrOrStderr())
			if err != nil {
				return err
			}
			entries, err := fetch(command.Context(), client, ledger.Query{Invocation: args[0]}, 0)
			if err != nil {
				return err
			}
			if err := writeTable(command.OutOrStdout(), entries); err != nil {
				return err
			}
			if bad := invocation.Outcomes[ledger.Failed] + invocation.Outcomes[ledger.Denied]; bad > 0 {
				return fmt.Errorf("%d of %d pushes failed", bad, len(entries))
			}
			return nil
		},
	}
	command.Flags().SortFlags = false
	addDaemonFlag(command, &daemon)
	command.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait at most")
	command.Flags().DurationVar(&interval, "interval", 500*time.Millisecond, "how long to wait between two questions")
	return command
}

// waitUntilDone asks until the invocation's stream has ended with nothing
// pending, and writes its progress whenever that changes.
func waitUntilDone(ctx context.Context, client *operator.Client, id string, interval time.Duration, progress io.Writer) (operator.Invocation, error) {
	said := ""
	for {
		invocation, err := client.Invocation(ctx, id)
		status := fmt.Sprintf("%d pushes left, %d done", invocation.Pending, total(invocation.Outcomes))
		switch _, unknown := errors.AsType[*operator.NotFoundError](err); {
		case unknown:
			status = "the daemon does not know this invocation yet"
		case err != nil && ctx.Err() == nil:
			return invocation, err
		case err == nil && invocation.Finished && invocation.Pending == 0:
			return invocation, nil
		}
		if status != said && ctx.Err() == nil {
			fmt.Fprintln(progress, status)
			said = status
		}
		if err := clock.Wait(ctx, interval); errors.Is(err, context.DeadlineExceeded) {
			return invocation, fmt.Errorf("timed out waiting for invocation %s: %s", id, said)
		} else if err != nil {
			return invocation, err
		}
	}
}

func total(outcomes map[ledger.Outcome]int) int {
	sum := 0
	for _, n := range outcomes {
		sum += n
	}
	return sum
}
