package bep

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A record is a build event, cut down to the fields that are read. So what reads
// events reads records.

// record makes the record of an event of the given kind.
func record(kind protowire.Number, id, payload []byte) [][]byte {
	b := make([]byte, 0, len(id)+len(payload)+16)
	if id != nil {
		b = appendField(b, eventID, id)
	}
	return [][]byte{appendField(b, kind, payload)}
}

// Recall takes in a record that [Scanner.Scan] gave of an earlier event of the same
// stream, so that a new scanner can go on where another one was cut off. Records
// are recalled in the order in which they were given.
func (s *Scanner) Recall(record []byte) error {
	if _, err := s.Scan(record); err != nil {
		return fmt.Errorf("recall a record of the stream: %w", err)
	}
	return nil
}

func appendField(b []byte, num protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), value)
}

func appendVarint(b []byte, num protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), value)
}
