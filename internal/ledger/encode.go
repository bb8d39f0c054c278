package ledger

import (
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Encode writes the row the one way in which its bytes are kept and hashed:
// without its ID, keys in a fixed order, no white space, text that is not UTF-8
// mended.
func (e Entry) Encode() ([]byte, error) {
	e.ID = 0
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	data, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode ledger row of %s: %w", e.Target, err)
	}
	return data, nil
}

// Decode reads what [Entry.Encode] wrote. Fields that a later version added are
// left out.
func Decode(data []byte) (Entry, error) {
	var e Entry
	if err := e.UnmarshalJSON(data); err != nil {
		return Entry{}, fmt.Errorf("decode ledger row: %w", err)
	}
	return e, nil
}

// plain is an Entry without its methods.
type plain Entry

// document is an Entry's JSON form: the duration is a number, since there is no
// one text form of durations that every reader of JSON knows.
type document struct {
	plain
	Seconds float64 `json:"durationSeconds,omitzero"`
}

// MarshalJSON writes the row; equal rows give equal bytes.
func (e Entry) MarshalJSON() ([]byte, error) {
	d := document{plain: plain(e), Seconds: float64(e.Duration.Milliseconds()) / 1000}
	return json.Marshal(d, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}

// UnmarshalJSON reads a row.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	*e = Entry(d.plain)
	e.Duration = time.Duration(math.Round(d.Seconds*1000)) * time.Millisecond
	return nil
}
