package ledger

import (
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// WriteJSON writes the rows as one indented JSON array.
func WriteJSON(w io.Writer, entries []Entry) error {
	if entries == nil {
		entries = []Entry{}
	}
	if err := json.MarshalWrite(w, entries, json.Deterministic(true), jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("write rows as JSON: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// WriteJSONLines writes each row as one line of JSON.
func WriteJSONLines(w io.Writer, entries []Entry) error {
	for _, e := range entries {
		if err := json.MarshalWrite(w, e, json.Deterministic(true)); err != nil {
			return fmt.Errorf("write row %d as JSON: %w", e.ID, err)
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	return nil
}
