// Package table writes text for terminals.
package table

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Write writes rows of cells in aligned columns. Empty cells get a dash.
func Write(w io.Writer, rows [][]string) error {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Printable(cell)
			if cell == "" {
				cells[i] = "-"
			}
		}
		// What goes wrong here is told by Flush.
		fmt.Fprintln(aligned, strings.Join(cells, "\t"))
	}
	if err := aligned.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// Printable keeps what came out of a build, or out of a registry, from moving the
// terminal's cursor.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}

// ShortDigest is enough of a digest to find it by: its function and 12 digits.
func ShortDigest(digest string) string {
	function, hex, found := strings.Cut(digest, ":")
	if !found || len(hex) <= 12 {
		return digest
	}
	return function + ":" + hex[:12]
}
