package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/operator"
)

func newLedgerExpectedCommand() *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:   "expected INVOCATION_ID",
		Short: "Show what an invocation should have pushed, and what became of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := operator.NewClient(daemon)
			if err != nil {
				return err
			}
			set, err := client.Expected(command.Context(), args[0])
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "STATE\tOUTCOME\tTARGET\tREASON")
			for _, e := range set.Expected {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", e.State, e.Outcome, e.Target, e.Reason)
			}
			if set.Omitted > 0 {
				fmt.Fprintf(table, "and %d more\n", set.Omitted)
			}
			return table.Flush()
		},
	}
	addDaemonFlag(command, &daemon)
	return command
}

func newLedgerCompareCommand() *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:   "compare INVOCATION_ID INVOCATION_ID",
		Short: "Show how two invocations' pushes differ",
		Args:  cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := operator.NewClient(daemon)
			if err != nil {
				return err
			}
			comparison, err := client.Compare(command.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "CHANGE\tIMAGE\tTARGET\tBEFORE\tAFTER")
			for _, d := range comparison.Differences {
				fmt.Fprintf(table, "%s\t%s/%s\t%s\t%s\t%s\n", d.Change, d.Registry, d.Repository, d.Target, d.Before, d.After)
			}
			if comparison.Omitted > 0 {
				fmt.Fprintf(table, "and %d more\n", comparison.Omitted)
			}
			return table.Flush()
		},
	}
	addDaemonFlag(command, &daemon)
	return command
}
