package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/table"
	"github.com/drayage/drayage/internal/version"
)

func newLedgerVerifyCommand() *cobra.Command {
	var flags verifyFlags
	command := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody changed the ledger",
		Long: `Have the daemon read every row and every checkpoint of its ledger, and list the rows
that were changed, deleted or added by hand. The command fails if there are any.

Pass keys and checkpoints that you kept elsewhere: whoever can change the ledger can
also change those in the database.

With --registry, also ask the registries whether they still serve what was pushed:
every digest, and for every tag the digest that was pushed last. This machine asks
them, with the credentials in its docker configuration.

The daemon can ask the registries by itself (verify.every in its configuration). --last
shows what it found.`,
		Example: `  drayage ledger verify
  drayage ledger verify --key "$(cat log.pub)" --checkpoint monday.txt --checkpoint tuesday.txt
  drayage ledger verify --registry --since 2026-03-01
  drayage ledger verify --last`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if flags.last {
				return flags.showLast(command.Context(), command.OutOrStdout())
			}
			for _, flag := range []string{"since", "plain-http", "registries"} {
				if command.Flags().Changed(flag) && !flags.registry {
					return fmt.Errorf("--%s needs --registry: the log itself is always verified as a whole", flag)
				}
			}
			return flags.verify(command.Context(), command.OutOrStdout())
		},
	}
	f := command.Flags()
	f.SortFlags = false
	addDaemonFlag(command, &flags.daemon)
	f.StringArrayVar(&flags.keys, "key", nil, "verifier `KEY` that may have signed checkpoints (default: the keys in the database)")
	f.StringArrayVar(&flags.checkpoints, "checkpoint", nil, "`FILE` with a checkpoint that was kept elsewhere")
	f.BoolVar(&flags.registry, "registry", false, "also ask the registries whether they serve what the ledger says")
	f.StringVar(&flags.since, "since", "", "with --registry: only pushes from this `TIME` on, 2026-01-31 or 2026-01-31T12:00:00Z")
	f.BoolVar(&flags.last, "last", false, "only show what the daemon found when it last asked the registries by itself")
	for _, other := range []string{"registry", "key", "checkpoint"} {
		command.MarkFlagsMutuallyExclusive("last", other)
	}
	flags.registries.add(f)
	return command
}

// verifyFlags say what the ledger is verified against.
type verifyFlags struct {
	daemon      string
	keys        []string
	checkpoints []string
	registry    bool
	since       string
	last        bool
	registries  registryFlags
}

func (f verifyFlags) verify(ctx context.Context, out io.Writer) error {
	query, err := f.query()
	if err != nil {
		return err
	}
	var hosts map[string]registry.HostOptions
	if f.registry {
		if hosts, err = f.registries.hosts(); err != nil {
			return err
		}
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
		failures = append(failures, fmt.Errorf("the ledger was changed after it was written: %s", counted(n, "problem", "problems")))
	}
	if f.registry {
		registries := registry.New(registry.Options{Hosts: hosts, UserAgent: "drayage/" + version.String()})
		defer registries.Close()
		failures = append(failures, compareWithRegistries(ctx, registries, client.Entries(ctx, query, 0), out))
	}
	return errors.Join(failures...)
}

// compareWithRegistries asks the registries whether they serve what the ledger says.
func compareWithRegistries(ctx context.Context, registries *registry.Client, entries iter.Seq2[ledger.Entry, error], out io.Writer) error {
	report, err := drift.Check(ctx, registries, entries, drift.Scope{})
	if err != nil {
		return err
	}
	for _, difference := range report.Differences {
		fmt.Fprintln(out, table.Printable(difference.String()))
	}
	wrong := len(report.Differences)
	fmt.Fprintf(out, "%d of %d tags and digests are served as the ledger says\n", report.Checked-wrong, report.Checked)
	if wrong > 0 {
		return fmt.Errorf("the registries do not serve what the ledger says: %s", counted(wrong, "problem", "problems"))
	}
	return nil
}

// query finds the rows that registries are asked about.
func (f verifyFlags) query() (ledger.Query, error) {
	values := operator.EncodeQuery(ledger.Query{})
	if f.since != "" {
		values.Set("since", f.since)
	}
	query, err := operator.DecodeQuery(values)
	if err != nil {
		return ledger.Query{}, fmt.Errorf("--%w", err)
	}
	return query, nil
}

// writeReport names what is wrong with the log.
func writeReport(w io.Writer, report operator.LogReport) {
	for _, problem := range report.Problems {
		fmt.Fprintln(w, table.Printable(problem.Text))
	}
	fmt.Fprintf(w, "%d rows in the log, %d rows still to be added, %d checkpoints; root %s\n", report.Rows, report.Waiting, report.Checkpoints, report.Root)
}
