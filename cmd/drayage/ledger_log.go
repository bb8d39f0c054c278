package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

func newLedgerVerifyCommand() *cobra.Command {
	var daemon string
	var checkpoints []string
	var request operator.VerifyRequest

	command := &cobra.Command{
		Use:   "verify",
		Short: "Check that the ledger is what was written",
		Long: `Have the daemon read every row and every checkpoint of its ledger, and name the
rows that were changed, deleted or put in by hand. Fails if there is one.

Keys and checkpoints that you kept elsewhere are worth more than those in the
database, which somebody who can change the ledger can change too.`,
		Example: `  drayage ledger verify
  drayage ledger verify --key "$(cat log.pub)" --checkpoint monday.txt --checkpoint tuesday.txt`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := operator.NewClient(daemon)
			if err != nil {
				return err
			}
			for _, name := range checkpoints {
				data, err := os.ReadFile(name)
				if err != nil {
					return fmt.Errorf("read checkpoint: %w", err)
				}
				request.Checkpoints = append(request.Checkpoints, string(data))
			}
			report, err := client.Verify(command.Context(), request)
			if err != nil {
				return err
			}
			return writeReport(command.OutOrStdout(), report)
		},
	}
	command.Flags().SortFlags = false
	addDaemonFlag(command, &daemon)
	command.Flags().StringArrayVar(&request.Keys, "key", nil, "verifier key that checkpoints may be signed with; those in the database if none is given")
	command.Flags().StringArrayVar(&checkpoints, "checkpoint", nil, "file with a checkpoint that was kept elsewhere")
	return command
}

func writeReport(w io.Writer, report operator.LogReport) error {
	for _, problem := range report.Problems {
		where := "the log"
		switch {
		case problem.Entry != nil && problem.Index != nil:
			where = fmt.Sprintf("row %d (number %d of the log)", *problem.Entry, *problem.Index)
		case problem.Entry != nil:
			where = fmt.Sprintf("row %d", *problem.Entry)
		case problem.Index != nil:
			where = fmt.Sprintf("number %d of the log", *problem.Index)
		}
		fmt.Fprintf(w, "%s: %s\n", where, problem.Text)
	}
	fmt.Fprintf(w, "%d rows in the log, %d not in it yet, %d checkpoints; root %s\n", report.Rows, report.Waiting, report.Checkpoints, report.Root)
	if n := len(report.Problems); n > 0 {
		return fmt.Errorf("the ledger is not what was written: %d problems", n)
	}
	return nil
}

func newLedgerProveCommand() *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:   "prove DIGEST",
		Short: "Print a proof that a digest was recorded",
		Long: `Print a proof, as JSON, that the newest row with a digest is in the log. Whoever
has it and the verifier key can check it without the daemon: drayage ledger check.`,
		Example: `  drayage ledger prove sha256:36e25d8e… > proof.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := operator.NewClient(daemon)
			if err != nil {
				return err
			}
			proofs, err := client.Prove(command.Context(), args[0])
			if err != nil {
				return err
			}
			if len(proofs) == 0 {
				return fmt.Errorf("no row of the ledger has %s", args[0])
			}
			data, err := proofs[0].Encode()
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(data)
			return err
		},
	}
	addDaemonFlag(command, &daemon)
	return command
}

func newLedgerCheckCommand() *cobra.Command {
	var keys []string
	command := &cobra.Command{
		Use:     "check FILE",
		Short:   "Check a proof, without the daemon",
		Long:    `Check a proof that drayage ledger prove printed, and print the row that it proves. Nobody is asked.`,
		Example: `  drayage ledger check proof.json --key "$(cat log.pub)"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read proof: %w", err)
			}
			proof, err := ledger.DecodeProof(data)
			if err != nil {
				return err
			}
			entry, checkpoint, err := proof.Verify(keys)
			if err != nil {
				return err
			}
			out := command.OutOrStdout()
			fmt.Fprintf(out, "The log %s of %d rows holds this row as number %d:\n\n", checkpoint.Origin, checkpoint.Size, proof.Index)
			return ledger.WriteTable(out, []ledger.Entry{entry}, time.UTC)
		},
	}
	command.Flags().StringArrayVar(&keys, "key", nil, "verifier key of the log")
	require(command, "key")
	return command
}

func newLedgerCheckpointCommand() *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest signed checkpoint, to be kept elsewhere",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := operator.NewClient(daemon)
			if err != nil {
				return err
			}
			data, err := client.Checkpoint(command.Context())
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(data)
			return err
		},
	}
	addDaemonFlag(command, &daemon)
	return command
}

func newLedgerKeyCommand() *cobra.Command {
	var daemon, out, name string
	command := &cobra.Command{
		Use:   "key",
		Short: "Print the log's verifier key, or make a new key",
		Long: `Print the key that verifies the daemon's checkpoints. With --out, make a key of
your own instead: the signing half goes into the file, for the daemon's
ledger.key_file, and the verifying half is printed.`,
		Example: `  drayage ledger key
  drayage ledger key --out /etc/drayage/log.key --name ledger.example.com > log.pub`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if out != "" {
				return makeKey(command.OutOrStdout(), out, name)
			}
			client, err := operator.NewClient(daemon)
			if err != nil {
				return err
			}
			key, err := client.LogKey(command.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), strings.TrimSpace(string(key)))
			return err
		},
	}
	command.Flags().SortFlags = false
	addDaemonFlag(command, &daemon)
	command.Flags().StringVar(&out, "out", "", "make a key, and write its signing half to this file, which must not be there")
	command.Flags().StringVar(&name, "name", "drayage", "name of the log, without spaces or plus signs")
	return command
}

// makeKey writes the signing half where nobody else can read it.
func makeKey(w io.Writer, out, name string) (err error) {
	signer, verifier, err := ledger.NewKey(name)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := fmt.Fprintln(file, signer); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = fmt.Fprintln(w, verifier)
	return err
}
