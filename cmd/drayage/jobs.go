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
		Short: "Show and steer the pushes that are not done",
		Long: `Show the pushes that wait, are under way, or are to be tried again. What is done is
in the ledger.`,
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
	command.Flags().StringVar(&invocation, "invocation", "", "only this Bazel invocation")

	command.AddCommand(
		newActCommand("cancel", "Call pushes off: each gets a row in the ledger that says so",
			func(client *operator.Client) act { return client.Cancel }),
		newActCommand("retry", "Try pushes again now that wait for their next attempt",
			func(client *operator.Client) act { return client.Retry }),
		newActCommand("requeue", "Push again what has failed, was denied or was cancelled, as new jobs",
			func(client *operator.Client) act { return client.Requeue }),
	)
	return command
}

func writeJobs(w io.Writer, jobs []operator.Job) error {
	if len(jobs) == 0 {
		_, err := fmt.Fprintln(w, "No push waits or is under way.")
		return err
	}
	rows := [][]string{{"JOB", "STATE", "FAILURES", "TARGET", "INVOCATION", "ERROR"}}
	for _, job := range jobs {
		rows = append(rows, []string{strconv.FormatInt(job.ID, 10), job.State, strconv.Itoa(job.Failures), job.Target, job.InvocationID, job.Error})
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
				return errors.New("say which pushes: --job, --invocation, --target, or --all")
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
				fmt.Fprintf(out, "%d more ended too long ago: build their targets again\n", acted.Gone)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	addDaemonFlag(command, &daemon)
	flags.Int64Var(&selection.Job, "job", 0, "this job")
	flags.StringVar(&selection.Invocation, "invocation", "", "those of this Bazel invocation")
	flags.StringVar(&selection.Target, "target", "", "those of this Bazel target")
	flags.BoolVar(&selection.All, "all", false, "all of them")
	return command
}
