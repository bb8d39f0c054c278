package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

func newLedgerExpectedCommand() *cobra.Command {
	var v view
	command := &cobra.Command{
		Use:   "expected INVOCATION_ID",
		Short: "Show what an invocation should have pushed, and what it did push",
		Long: `Show everything that a Bazel invocation should have pushed: each push spec with its
outcome, and each push target that made no push spec, with the reason.`,
		Example: `  drayage ledger expected 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11`,
		Args:    cobra.ExactArgs(1),
	}
	command.RunE = show(&v, func(ctx context.Context, client *operator.Client, args []string) (operator.ExpectedSet, error) {
		return client.Expected(ctx, args[0])
	}, writeExpected)
	v.addFlags(command)
	return command
}

func writeExpected(w io.Writer, set operator.ExpectedSet) error {
	rows := [][]string{{"STATE", "OUTCOME", "TARGET", "REASON"}}
	counts := map[ledger.ExpectedState]int{}
	for _, e := range set.Expected {
		rows = append(rows, []string{string(e.State), string(e.Outcome), e.Target, firstLine(e.Reason)})
		counts[e.State]++
	}
	if err := table.Write(w, rows); err != nil {
		return err
	}
	missing, awaited := 0, counts[ledger.ExpectedAwaited]
	for state, n := range counts {
		if state.Missing(set.Over) {
			missing += n
		}
	}
	if set.Over {
		awaited = 0
	}
	_, err := fmt.Fprintf(w, "\n%d ended, %d pending, %d awaited, %d missing%s\n",
		counts[ledger.ExpectedEnded], counts[ledger.ExpectedPending], awaited, missing, andMore(set.Omitted))
	if err == nil && set.Unconfigured > 0 {
		_, err = fmt.Fprintf(w, "Bazel gave up before it said what %s: nobody knows whether they push anything.\n",
			counted(set.Unconfigured, "target or pattern is", "targets and patterns are"))
	}
	return err
}

func newLedgerCompareCommand() *cobra.Command {
	var v view
	var all bool
	command := &cobra.Command{
		Use:   "compare INVOCATION_ID INVOCATION_ID",
		Short: "Show how the pushes of two invocations differ",
		Long: `Show where the pushes of the second Bazel invocation differ from those of the first, by
target, registry and repository. Equal pushes are only counted, unless --all or JSON
asks for them.`,
		Example: `  drayage ledger compare 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11 e4a2c1d0-0a4c-4a3e-8a49-0d4b3d1a7f55`,
		Args:    cobra.ExactArgs(2),
	}
	command.RunE = show(&v, func(ctx context.Context, client *operator.Client, args []string) (operator.Comparison, error) {
		return client.Compare(ctx, args[0], args[1])
	}, func(w io.Writer, comparison operator.Comparison) error { return writeComparison(w, comparison, all) })
	v.addFlags(command)
	command.Flags().BoolVar(&all, "all", false, "also show equal pushes")
	return command
}

func writeComparison(w io.Writer, comparison operator.Comparison, all bool) error {
	rows := [][]string{{"CHANGE", "IMAGE", "BEFORE", "AFTER", "WAS", "IS", "TARGET"}}
	counts := map[ledger.Change]int{}
	for _, d := range comparison.Differences {
		counts[d.Change]++
		if d.Change == ledger.Same && !all {
			continue
		}
		rows = append(rows, []string{
			string(d.Change), d.Registry + "/" + d.Repository, table.ShortDigest(d.Before), table.ShortDigest(d.After), string(d.Was), string(d.Is), d.Target,
		})
	}
	if len(rows) > 1 {
		if err := table.Write(w, rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "%d changed, %d added, %d removed, %d unchanged%s\n",
		counts[ledger.Changed], counts[ledger.Added], counts[ledger.Removed], counts[ledger.Same], andMore(comparison.Omitted))
	return err
}

// andMore says how many the daemon left off.
func andMore(omitted int) string {
	if omitted == 0 {
		return ""
	}
	return fmt.Sprintf("; %d more were left out of the answer", omitted)
}
