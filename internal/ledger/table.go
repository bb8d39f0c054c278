package ledger

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// WriteTable writes the rows for a terminal: aligned columns, times in zone,
// digests short enough to be told apart. The errors of rows that failed follow
// below the table, in full.
func WriteTable(w io.Writer, entries []Entry, zone *time.Location) error {
	rows := [][]string{{"TIME", "OUTCOME", "IMAGE", "TAGS", "DIGEST", "SENT", "TOOK", "TARGET"}}
	for _, e := range entries {
		rows = append(rows, []string{
			e.Time.In(zone).Format("2006-01-02 15:04:05"),
			string(e.Outcome),
			image(e),
			dash(strings.Join(tagNames(e.Tags), ",")),
			dash(shortDigest(e.Digest)),
			size(e.Uploaded.Bytes),
			e.Duration.Round(10 * time.Millisecond).String(),
			e.Target,
		})
	}
	if err := writeAligned(w, rows); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for _, e := range entries {
		if e.Error == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", e.Outcome, printable(e.Error)); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return nil
}

func image(e Entry) string {
	if e.Repository == "" {
		return dash(e.Registry)
	}
	return e.Registry + "/" + e.Repository
}

// writeAligned pads every cell but the last of a line to its column's width.
func writeAligned(w io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var line strings.Builder
	for _, row := range rows {
		line.Reset()
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		line.WriteByte('\n')
		if _, err := io.WriteString(w, line.String()); err != nil {
			return err
		}
	}
	return nil
}

// printable keeps what came out of a build from moving the terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}

// shortDigest is enough of a digest to find it by: its function and 12 digits.
func shortDigest(digest string) string {
	function, hex, found := strings.Cut(digest, ":")
	if !found || len(hex) <= 12 {
		return digest
	}
	return function + ":" + hex[:12]
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// size writes a number of bytes with three digits or so: "3.4 MiB".
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		value /= 1024
		if value < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
