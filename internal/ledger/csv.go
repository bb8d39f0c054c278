package ledger

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// csvHeader names the columns. New ones go to the end, so that those who count
// columns go on working.
var csvHeader = []string{
	"id", "time", "outcome", "registry", "repository", "digest", "tags", "target", "invocation", "commit", "branch",
	"dirty", "exit_code", "client", "attempts", "duration_seconds", "requests",
	"uploaded_blobs", "uploaded_bytes", "mounted_blobs", "mounted_bytes", "present_blobs", "present_bytes",
	"error_class", "error", "configuration", "aspect", "spec_digest", "build", "command", "bazel_version", "daemon_version", "job",
	"gate", "held_tags", "by",
}

// WriteCSV writes a line of column names and one record a row. Several tags
// stand in one field, with a space between them; those that are kept back have a field of
// their own. A text that a spreadsheet
// would take for a formula gets an apostrophe before it.
func WriteCSV(w io.Writer, entries []Entry) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader); err != nil {
		return fmt.Errorf("write rows as CSV: %w", err)
	}
	for _, e := range entries {
		record := []string{
			strconv.FormatInt(e.ID, 10), e.Time.UTC().Format(time.RFC3339Nano), string(e.Outcome),
			e.Registry, e.Repository, e.Digest, strings.Join(tagNames(e.Tags), " "),
			e.Target, e.InvocationID, e.Commit, e.Branch,
			strconv.FormatBool(e.Dirty), e.ExitCode, e.Client, strconv.Itoa(e.Attempts),
			strconv.FormatFloat(e.Duration.Seconds(), 'f', 3, 64), strconv.Itoa(e.Requests),
			strconv.Itoa(e.Uploaded.Blobs), strconv.FormatInt(e.Uploaded.Bytes, 10),
			strconv.Itoa(e.Mounted.Blobs), strconv.FormatInt(e.Mounted.Bytes, 10),
			strconv.Itoa(e.Present.Blobs), strconv.FormatInt(e.Present.Bytes, 10),
			e.ErrorClass, e.Error, e.Configuration, e.Aspect, e.SpecDigest, e.BuildID,
			e.Command, e.BazelVersion, e.DaemonVersion, strconv.FormatInt(e.Job, 10),
			e.Gate, strings.Join(e.HeldTags, " "), e.By,
		}
		for i, field := range record {
			// A spreadsheet runs what begins with one of these. Labels begin with @
			// as a matter of course.
			if field != "" && strings.ContainsRune("=+-@\t\r", rune(field[0])) {
				record[i] = "'" + field
			}
		}
		if err := out.Write(record); err != nil {
			return fmt.Errorf("write row %d as CSV: %w", e.ID, err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write rows as CSV: %w", err)
	}
	return nil
}

func tagNames(tags []Tag) []string {
	names := make([]string, len(tags))
	for i, tag := range tags {
		names[i] = tag.Name
	}
	return names
}
