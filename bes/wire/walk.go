// Package wire walks the fields of encoded protobuf messages without decoding them
// and without allocating. The relay reads every event so; its source is the encoding
// at https://protobuf.dev/programming-guides/encoding/.
package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is one encoded message that is being walked. It is a value on the caller's
// stack.
type Message struct {
	// Num is the current field's number if it is length-delimited, and 0 otherwise. So a
	// field of another wire type than the reader knows is passed over, as protobuf wants
	// it for unknown fields.
	Num protowire.Number
	// Bytes is the current field's value if it is length-delimited, and nil
	// otherwise. It lies in the message.
	Bytes []byte
	// VarintNum is the current field's number if it is a varint, and 0 otherwise.
	VarintNum protowire.Number
	// Varint is the current field's value if it is a varint, and 0 otherwise.
	Varint uint64
	// Err is why there is no next field, nil at the message's end.
	Err error

	rest []byte
}

// Walk begins before the first field.
func Walk(b []byte) Message { return Message{rest: b} }

// Next moves on to the next field, and says whether there is one. After false, Err
// tells the end from a malformed message.
func (m *Message) Next() bool {
	b := m.rest
	if len(b) == 0 || m.Err != nil {
		return false
	}
	// Nearly every field's tag takes one byte or two, and so does its value or the
	// value's length: those are read here.
	if len(b) < 4 {
		return m.next()
	}
	tag, at := int(b[0]), 1
	if tag >= 0x80 {
		tag, at = tag&0x7f|int(b[1])<<7, 2
	}
	value := int(b[at])
	at++
	if value >= 0x80 {
		value, at = value&0x7f|int(b[at])<<7, at+1
	}
	if tag < 8 || tag >= 1<<14 || value >= 1<<14 {
		return m.next()
	}
	num := protowire.Number(tag >> 3)
	switch protowire.Type(tag & 7) {
	case protowire.BytesType:
		if len(b)-at < value {
			return m.next()
		}
		m.Num, m.Bytes, m.VarintNum, m.Varint = num, b[at:at+value:at+value], 0, 0
		at += value
	case protowire.VarintType:
		m.Num, m.Bytes, m.VarintNum, m.Varint = 0, nil, num, uint64(value)
	default:
		return m.next()
	}
	m.rest = b[at:]
	return true
}

// next is Next for whatever field there may be.
func (m *Message) next() bool {
	num, typ, n := protowire.ConsumeTag(m.rest)
	if n < 0 {
		m.Err = fmt.Errorf("read tag: %w", protowire.ParseError(n))
		return false
	}
	b := m.rest[n:]
	m.Num, m.Bytes, m.VarintNum, m.Varint = 0, nil, 0, 0
	switch typ {
	case protowire.BytesType:
		m.Num = num
		m.Bytes, n = protowire.ConsumeBytes(b)
		if n >= 0 && m.Bytes == nil {
			m.Bytes = []byte{}
		}
	case protowire.VarintType:
		m.VarintNum = num
		m.Varint, n = protowire.ConsumeVarint(b)
	default:
		n = protowire.ConsumeFieldValue(num, typ, b)
	}
	if n < 0 {
		m.Err = fmt.Errorf("read field %d: %w", num, protowire.ParseError(n))
		return false
	}
	m.rest = b[n:]
	return true
}

// Sub returns the last length-delimited value of field num in b, as messages that
// occur once are read. It is nil where there is none.
func Sub(b []byte, num protowire.Number) ([]byte, error) {
	var found []byte
	m := Walk(b)
	for m.Next() {
		if m.Num == num {
			found = m.Bytes
		}
	}
	return found, m.Err
}
