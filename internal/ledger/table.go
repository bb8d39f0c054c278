package ledger

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/table"
)

// WriteTable writes the rows for a terminal: aligned columns, times in zone,
// digests short enough to be told apart, tags that are kept back in brackets. The errors of rows that failed follow
// below the table, in full.
func WriteTable(w io.Writer, entries []Entry, zone *time.Location) error {
	rows := [][]string{{"TIME", "OUTCOME", "IMAGE", "TAGS", "DIGEST", "SENT", "TOOK", "TARGET"}}
	for _, e := range entries {
		rows = append(rows, []string{
			e.Time.In(zone).Format("2006-01-02 15:04:05"),
			string(e.Outcome),
			image(e),
			tags(e),
			table.ShortDigest(e.Digest),
			size(e.Uploaded.Bytes),
			e.Duration.Round(10 * time.Millisecond).String(),
			e.Target,
		})
	}
	if err := table.Write(w, rows); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Error == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", e.Outcome, table.Printable(e.Error)); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return nil
}

// tags are those that the row wrote. Those that it keeps back are in brackets.
func tags(e Entry) string {
	text := strings.Join(tagNames(e.Tags), ",")
	if len(e.HeldTags) == 0 {
		return text
	}
	return text + "(" + strings.Join(e.HeldTags, ",") + ")"
}

func image(e Entry) string {
	if e.Repository == "" {
		return e.Registry
	}
	return e.Registry + "/" + e.Repository
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
