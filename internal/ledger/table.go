package ledger

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/table"
)

// WriteTable writes the rows for a terminal: aligned columns, times in zone,
// digests short enough to be told apart. The errors of rows that failed, and why tags
// are kept back, follow below the table, in full and each once. Who decided has a column where somebody
// did.
func WriteTable(w io.Writer, entries []Entry, zone *time.Location) error {
	header := []string{"TIME", "OUTCOME", "IMAGE", "TAGS", "DIGEST", "SENT", "TOOK", "TARGET"}
	decided := slices.ContainsFunc(entries, func(e Entry) bool { return e.By != "" })
	if decided {
		header = append(header, "BY")
	}
	rows := [][]string{header}
	for _, e := range entries {
		row := []string{
			e.Time.In(zone).Format("2006-01-02 15:04:05"),
			string(e.Outcome),
			image(e),
			tagsText(e),
			table.ShortDigest(e.Digest),
			size(e.Uploaded.Bytes),
			e.Duration.Round(10 * time.Millisecond).String(),
			e.Target,
		}
		if decided {
			row = append(row, e.By)
		}
		rows = append(rows, row)
	}
	if err := table.Write(w, rows); err != nil {
		return err
	}
	said := map[string]bool{} // one build's pushes are often withheld for one reason
	for _, e := range entries {
		if e.Error == "" || said[string(e.Outcome)+e.Error] {
			continue
		}
		said[string(e.Outcome)+e.Error] = true
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", e.Outcome, table.Printable(e.Error)); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return nil
}

// tagsText writes the tags of a row: those that it wrote, with what became of them if
// they no longer point to its image, and those that are kept back.
func tagsText(e Entry) string {
	var written []string
	for _, tag := range e.Tags {
		written = append(written, tag.Name+becameOf(tag))
	}
	text := strings.Join(written, ",")
	if len(e.HeldTags) > 0 {
		text = strings.TrimSpace(text + " kept back: " + strings.Join(e.HeldTags, ","))
	}
	return text
}

// removedTag is the digest of a tag that a rollback removed. See [Tag].
const removedTag = "none"

// becameOf says where a tag points now, if a rollback moved it.
func becameOf(tag Tag) string {
	switch tag.Digest {
	case "":
		return ""
	case removedTag:
		return " (removed)"
	}
	return " (now " + table.ShortDigest(tag.Digest) + ")"
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
