package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// writeRows writes rows of cells in aligned columns. Empty cells get a dash.
func writeRows(w io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
			if cell == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// printable keeps what came out of a build, or out of a registry, from moving
// the terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}

// counted writes a number of things.
func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// shortDigest is enough of a digest to find it by: its function and 12 digits.
func shortDigest(digest string) string {
	function, hex, found := strings.Cut(digest, ":")
	if !found || len(hex) <= 12 {
		return digest
	}
	return function + ":" + hex[:12]
}

// writeIndented writes a document as JSON for people and programs.
func writeIndented(w io.Writer, document any) error {
	if err := json.MarshalWrite(w, document, json.Deterministic(true), jsontext.AllowInvalidUTF8(true), jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// tableOrJSON refuses other formats.
func tableOrJSON(format string) error {
	if format != "table" && format != "json" {
		return fmt.Errorf("--format: %q is neither table nor json", format)
	}
	return nil
}
