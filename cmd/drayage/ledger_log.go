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
)

func newLedgerProveCommand() *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:   "prove DIGEST",
		Short: "Print a proof that a digest was recorded",
		Long: `Print a proof, as JSON, that the newest row with this digest is in the log. Anyone who
has the proof and the verifier key can check it without the daemon: use drayage ledger
check.

The first six digits of the digest suffice if no other digest begins with them.`,
		Example: `  drayage ledger prove sha256:36e25d8e > proof.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := dial(daemon)
			if err != nil {
				return err
			}
			proofs, err := client.Prove(command.Context(), args[0])
			if err != nil {
				return err
			}
			if len(proofs) == 0 {
				return fmt.Errorf("no row of the ledger has the digest %s", args[0])
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
		Long:    `Check a proof that drayage ledger prove printed, and print the row that it proves. No daemon is asked.`,
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
			fmt.Fprintf(out, "Row %d of the log %s, which has %d rows:\n\n", proof.Index, checkpoint.Origin, checkpoint.Size)
			return ledger.WriteTable(out, []ledger.Entry{entry}, time.UTC)
		},
	}
	command.Flags().StringArrayVar(&keys, "key", nil, "verifier `KEY` of the log")
	require(command, "key")
	return command
}

func newLedgerCheckpointCommand() *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest signed checkpoint, to keep elsewhere",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := dial(daemon)
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
		Long: `Print the key that verifies the daemon's checkpoints.

With --out, make a new key instead. The signing key is written to the file, for the
daemon's ledger.key_file. The verifier key is printed.`,
		Example: `  drayage ledger key
  drayage ledger key --out /etc/drayage/log.key --name ledger.example.com > log.pub`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if out != "" {
				return makeKey(command.OutOrStdout(), out, name)
			}
			client, err := dial(daemon)
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
	command.Flags().StringVar(&out, "out", "", "make a key, and write the signing key to this `FILE`, which must not exist")
	command.Flags().StringVar(&name, "name", "drayage", "`NAME` of the log, without spaces and plus signs")
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
