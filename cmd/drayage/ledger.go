package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

func newLedgerCommand() *cobra.Command {
	var daemon, format, since, until, outcome string
	var query ledger.Query
	var limit int

	command := &cobra.Command{
		Use:   "ledger",
		Short: "Show what was pushed",
		Long: `Show what a daemon pushed, newest first.

Filters narrow the list; a row must match all of them. The table is for terminals;
json, jsonl and csv contain every field.`,
		Example: `  drayage ledger
  drayage ledger --repository acme/app --tag latest
  drayage ledger --commit 6a14a96 --outcome failed --format json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			write, err := entriesWriter(format)
			if err != nil {
				return err
			}
			values := operator.EncodeQuery(query)
			for name, value := range map[string]string{"since": since, "until": until, "outcome": outcome} {
				if value != "" {
					values.Set(name, value)
				}
			}
			if query, err = operator.DecodeQuery(values); err != nil {
				return err
			}
			client, err := dial(daemon)
			if err != nil {
				return err
			}
			entries, err := fetch(command.Context(), client, query, limit)
			if err != nil {
				return err
			}
			return write(command.OutOrStdout(), entries)
		},
	}
	command.AddCommand(newLedgerVerifyCommand(), newLedgerProveCommand(), newLedgerCheckCommand(), newLedgerCheckpointCommand(),
		newLedgerKeyCommand(), newLedgerExpectedCommand(), newLedgerCompareCommand())
	flags := command.Flags()
	flags.SortFlags = false
	addDaemonFlag(command, &daemon)
	flags.StringVarP(&format, "format", "o", "table", "output format: table, json, jsonl or csv")
	flags.IntVarP(&limit, "limit", "n", 100, "show at most this many rows; 0 means all")
	flags.StringVar(&query.Digest, "digest", "", "only the manifest or index with this digest")
	flags.StringVar(&query.Registry, "registry", "", "only this registry")
	flags.StringVar(&query.Repository, "repository", "", "only this repository")
	flags.StringVar(&query.Tag, "tag", "", "only pushes that wrote this tag")
	flags.StringVar(&query.Target, "target", "", "only this Bazel target")
	flags.StringVar(&query.Invocation, "invocation", "", "only this Bazel invocation")
	flags.StringVar(&query.Commit, "commit", "", "only this commit")
	flags.StringVar(&outcome, "outcome", "", fmt.Sprintf("only this outcome, one of %v", ledger.Outcomes()))
	flags.StringVar(&since, "since", "", "only from this `TIME` on: 2026-01-31 or 2026-01-31T12:00:00Z")
	flags.StringVar(&until, "until", "", "only before this `TIME`")
	return command
}

// fetch is the limit newest entries that a query finds, or all where that is zero.
func fetch(ctx context.Context, client *operator.Client, query ledger.Query, limit int) ([]ledger.Entry, error) {
	if limit < 0 {
		return nil, fmt.Errorf("--limit: %d must not be negative", limit)
	}
	entries := []ledger.Entry{}
	for e, err := range client.Entries(ctx, query, limit) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func entriesWriter(format string) (func(io.Writer, []ledger.Entry) error, error) {
	switch format {
	case "table":
		return writeTable, nil
	case "json":
		return ledger.WriteJSON, nil
	case "jsonl":
		return ledger.WriteJSONLines, nil
	case "csv":
		return ledger.WriteCSV, nil
	}
	return nil, fmt.Errorf("--format: %q must be table, json, jsonl or csv", format)
}

// addDaemonFlag adds the flag that says which daemon to ask.
func addDaemonFlag(command *cobra.Command, daemon *string) {
	address := os.Getenv("DRAYAGE_DAEMON")
	if address == "" {
		address = "http://127.0.0.1:9091"
	}
	command.Flags().StringVar(daemon, "daemon", address, "HTTP `ADDRESS` of drayaged; DRAYAGE_DAEMON sets the default")
}

// dial makes a client of a daemon. What proves who asks is in files that the
// environment names, since it is the same for all commands.
func dial(daemon string) (*operator.Client, error) {
	return operator.NewClient(daemon, operator.Login{
		CA: os.Getenv("DRAYAGE_DAEMON_CA"), Cert: os.Getenv("DRAYAGE_DAEMON_CERT"), Key: os.Getenv("DRAYAGE_DAEMON_KEY"), Token: os.Getenv("DRAYAGE_TOKEN_FILE"),
	})
}

// writeTable writes the entries with times as the person's clock has them.
func writeTable(w io.Writer, entries []ledger.Entry) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(w, "The ledger has no matching row.")
		return err
	}
	return ledger.WriteTable(w, entries, time.Local)
}
