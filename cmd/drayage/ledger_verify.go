package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

func newLedgerVerifyCommand() *cobra.Command {
	var flags verifyFlags
	command := &cobra.Command{
		Use:   "verify",
		Short: "Check that the ledger is what was written",
		Long: `Have the daemon read every row and every checkpoint of its ledger, and name the
rows that were changed, deleted or put in by hand. Fails if there is one.

Keys and checkpoints that you kept elsewhere are worth more than those in the
database, which somebody who can change the ledger can change too.

With --registry, ask the registries, too, whether they serve what the ledger says:
every digest that was pushed, and under every tag the digest that was pushed last.
That is done from here, with your own credentials for them, as docker has them.`,
		Example: `  drayage ledger verify
  drayage ledger verify --key "$(cat log.pub)" --checkpoint monday.txt --checkpoint tuesday.txt
  drayage ledger verify --registry --since 2026-03-01`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return flags.verify(command.Context(), command.OutOrStdout())
		},
	}
	f := command.Flags()
	f.SortFlags = false
	addDaemonFlag(command, &flags.daemon)
	f.StringArrayVar(&flags.keys, "key", nil, "verifier key that checkpoints may be signed with; those in the database if none is given")
	f.StringArrayVar(&flags.checkpoints, "checkpoint", nil, "file with a checkpoint that was kept elsewhere")
	f.BoolVar(&flags.registry, "registry", false, "ask the registries whether they serve what the ledger says")
	f.StringVar(&flags.since, "since", "", "with --registry: only what was pushed from this time on, 2026-01-31 or 2026-01-31T12:00:00Z")
	f.StringArrayVar(&flags.plainHTTP, "plain-http", nil, "with --registry: HOST[:PORT] of a registry to reach without TLS; loopback is by default")
	return command
}

// verifyFlags say what the ledger is verified against.
type verifyFlags struct {
	daemon      string
	keys        []string
	checkpoints []string
	registry    bool
	since       string
	plainHTTP   []string
}

func (f verifyFlags) verify(ctx context.Context, out io.Writer) error {
	if !f.registry && (f.since != "" || len(f.plainHTTP) > 0) {
		return errors.New("--since and --plain-http go with --registry: the log is always verified whole")
	}
	values := operator.EncodeQuery(ledger.Query{})
	if f.since != "" {
		values.Set("since", f.since)
	}
	query, err := operator.DecodeQuery(values)
	if err != nil {
		return fmt.Errorf("--%w", err)
	}
	client, err := dial(f.daemon)
	if err != nil {
		return err
	}
	request := operator.VerifyRequest{Keys: f.keys}
	for _, name := range f.checkpoints {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read checkpoint: %w", err)
		}
		request.Checkpoints = append(request.Checkpoints, string(data))
	}
	report, err := client.Verify(ctx, request)
	if err != nil {
		return err
	}
	writeReport(out, report)
	var failures []error
	if n := len(report.Problems); n > 0 {
		failures = append(failures, fmt.Errorf("the ledger is not what was written: %s", counted(n, "problem", "problems")))
	}
	if f.registry {
		problems, asked, err := checkRegistries(ctx, client, query.Since, f.plainHTTP)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		for _, problem := range problems {
			fmt.Fprintln(out, table.Printable(problem.String()))
		}
		fmt.Fprintf(out, "%d of %d tags and digests are served as the ledger says\n", asked-len(problems), asked)
		if n := len(problems); n > 0 {
			failures = append(failures, fmt.Errorf("the registries do not serve what the ledger says: %s", counted(n, "problem", "problems")))
		}
	}
	return errors.Join(failures...)
}

// writeReport names what is wrong with the log.
func writeReport(w io.Writer, report operator.LogReport) {
	for _, problem := range report.Problems {
		fmt.Fprintln(w, table.Printable(problem.Text))
	}
	fmt.Fprintf(w, "%d rows in the log, %d not in it yet, %d checkpoints; root %s\n", report.Rows, report.Waiting, report.Checkpoints, report.Root)
}
