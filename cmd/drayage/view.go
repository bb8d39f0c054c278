package main

import (
	"context"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/operator"
)

// view is a command that asks the daemon for something, and shows it as a table or
// as JSON.
type view struct{ daemon, format string }

func (v *view) addFlags(command *cobra.Command) {
	command.Flags().SortFlags = false
	addDaemonFlag(command, &v.daemon)
	command.Flags().StringVarP(&v.format, "format", "o", "table", "output format: table or json")
}

// show is what such a command does.
func show[T any](v *view, ask func(ctx context.Context, client *operator.Client, args []string) (T, error), table func(io.Writer, T) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		if v.format != "table" && v.format != "json" {
			return fmt.Errorf("--format: %q must be table or json", v.format)
		}
		client, err := dial(v.daemon)
		if err != nil {
			return err
		}
		answer, err := ask(command.Context(), client, args)
		if err != nil {
			return err
		}
		if v.format == "json" {
			return writeIndented(command.OutOrStdout(), answer)
		}
		return table(command.OutOrStdout(), answer)
	}
}

// pageSize is how many things are asked for at a time.
const pageSize = 500

// everyPage asks page by page until the end, each after the number that the one
// before gave.
func everyPage[T any](ask func(after int64) (page []T, next int64, err error)) ([]T, error) {
	all := []T{}
	for after := int64(0); ; {
		page, next, err := ask(after)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if after = next; after == 0 {
			return all, nil
		}
	}
}

// counted writes a number of things.
func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// writeIndented writes a document as JSON for people and programs.
func writeIndented(w io.Writer, document any) error {
	if err := json.MarshalWrite(w, document, json.Deterministic(true), jsontext.AllowInvalidUTF8(true), jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
