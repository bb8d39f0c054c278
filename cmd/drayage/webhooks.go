package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

func newWebhooksCommand() *cobra.Command {
	var v view
	var webhook string
	command := &cobra.Command{
		Use:   "webhooks",
		Short: "Show and redeliver events that webhooks did not accept",
		Long: `Show the events that a webhook did not accept at any attempt. The daemon keeps them
for a while, and delivers them again on request.`,
		Example: `  drayage webhooks
  drayage webhooks redeliver --webhook ci
  drayage webhooks redeliver --event 17`,
		Args: cobra.NoArgs,
	}
	command.RunE = show(&v, func(ctx context.Context, client *operator.Client, _ []string) ([]operator.DeadLetter, error) {
		return everyPage(func(after int64) ([]operator.DeadLetter, int64, error) {
			page, err := client.DeadLetters(ctx, webhook, after, pageSize)
			return page.DeadLetters, page.Next, err
		})
	}, writeDeadLetters)
	v.addFlags(command)
	command.Flags().StringVar(&webhook, "webhook", "", "only the webhook with this `NAME` in the daemon's configuration")
	command.AddCommand(newRedeliverCommand())
	return command
}

func writeDeadLetters(w io.Writer, letters []operator.DeadLetter) error {
	if len(letters) == 0 {
		_, err := fmt.Fprintln(w, "No event is undelivered.")
		return err
	}
	rows := [][]string{{"EVENT", "WEBHOOK", "ABOUT", "ATTEMPTS", "LAST", "ERROR"}}
	for _, l := range letters {
		about := "row " + strconv.FormatInt(l.Entry, 10)
		if l.Subject != "" {
			about = l.Kind + " " + l.Subject
		}
		rows = append(rows, []string{
			strconv.FormatInt(l.Event, 10), l.Webhook, about, strconv.Itoa(l.Attempts),
			l.Last.In(time.Local).Format(time.DateTime), l.Error,
		})
	}
	return table.Write(w, rows)
}

func newRedeliverCommand() *cobra.Command {
	var daemon string
	var redelivery operator.Redelivery
	command := &cobra.Command{
		Use:     "redeliver",
		Short:   "Deliver events again, with all their attempts",
		Example: "  drayage webhooks redeliver --all",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if redelivery.Empty() {
				return errors.New("select events with --event, --webhook or --all")
			}
			client, err := dial(daemon)
			if err != nil {
				return err
			}
			redelivered, err := client.Redeliver(command.Context(), redelivery)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "redeliver: %s\n", counted(redelivered.Events, "event", "events"))
			return err
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	addDaemonFlag(command, &daemon)
	flags.Int64SliceVar(&redelivery.Events, "event", nil, "the event with this `ID`; may be given more than once")
	flags.StringVar(&redelivery.Webhook, "webhook", "", "the events of the webhook with this `NAME`")
	flags.BoolVar(&redelivery.All, "all", false, "all events")
	return command
}
