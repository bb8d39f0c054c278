package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

func newJobsCommand() *cobra.Command {
	var v view
	var invocation string
	command := &cobra.Command{
		Use:   "jobs",
		Short: "Show, cancel, retry and requeue pushes",
		Long: `Show the pushes that wait, are running, or will be retried. Pushes that are done are
in the ledger. ACTION is push; or tag, if the tags of a staged image move or are
withheld; or restore, if a rollback moves tags back.`,
		Example: `  drayage jobs --invocation 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11
  drayage jobs retry --invocation 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11
  drayage jobs cancel --job 17`,
		Args: cobra.NoArgs,
	}
	command.RunE = show(&v, func(ctx context.Context, client *operator.Client, _ []string) ([]operator.Job, error) {
		return everyPage(func(after int64) ([]operator.Job, int64, error) {
			page, err := client.Jobs(ctx, invocation, after, pageSize)
			return page.Jobs, page.Next, err
		})
	}, writeJobs)
	v.addFlags(command)
	command.Flags().StringVar(&invocation, "invocation", "", "show only this Bazel invocation `ID`")

	command.AddCommand(
		newActCommand("cancel", "Cancel pushes; each gets a row in the ledger",
			func(client *operator.Client) act { return client.Cancel }),
		newActCommand("retry", "Retry pushes now instead of at their next attempt, and lift the pauses of their registries",
			func(client *operator.Client) act { return client.Retry }),
		newActCommand("requeue", "Queue new jobs for pushes that failed, were denied or were cancelled",
			func(client *operator.Client) act { return client.Requeue }),
	)
	return command
}

func writeJobs(w io.Writer, jobs []operator.Job) error {
	if len(jobs) == 0 {
		_, err := fmt.Fprintln(w, "No push is waiting or running.")
		return err
	}
	rows := [][]string{{"JOB", "STATE", "ACTION", "FAILURES", "TARGET", "INVOCATION", "ERROR"}}
	for _, job := range jobs {
		rows = append(rows, []string{strconv.FormatInt(job.ID, 10), job.State, job.Action, strconv.Itoa(job.Failures), job.Target, job.InvocationID, job.Error})
	}
	return table.Write(w, rows)
}

// act does something to the jobs of a selection.
type act func(context.Context, operator.Selection) (operator.Acted, error)

func newActCommand(name, short string, of func(*operator.Client) act) *cobra.Command {
	var daemon string
	var selection operator.Selection
	command := &cobra.Command{
		Use:     name,
		Short:   short,
		Example: "  drayage jobs " + name + " --target //app:push",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if selection == (operator.Selection{}) {
				return errors.New("select pushes with --job, --invocation, --target or --all")
			}
			client, err := dial(daemon)
			if err != nil {
				return err
			}
			acted, err := of(client)(command.Context(), selection)
			if err != nil {
				return err
			}
			out := command.OutOrStdout()
			fmt.Fprintf(out, "%s: %s\n", name, counted(acted.Jobs, "push", "pushes"))
			if acted.Gone > 0 {
				fmt.Fprintf(out, "%d more ended too long ago to be queued again; build their targets again\n", acted.Gone)
			}
			for _, registry := range acted.Closed {
				fmt.Fprintf(out, "pushes to %s wait all the same: drayage registries open %s\n", registry, registry)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	addDaemonFlag(command, &daemon)
	flags.Int64Var(&selection.Job, "job", 0, "the job with this `ID`")
	flags.StringVar(&selection.Invocation, "invocation", "", "the pushes of this Bazel invocation `ID`")
	flags.StringVar(&selection.Target, "target", "", "the pushes of this Bazel target `LABEL`")
	flags.BoolVar(&selection.All, "all", false, "all pushes")
	return command
}
