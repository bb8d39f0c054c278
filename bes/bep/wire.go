package bep

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// message walks the fields of one encoded message. It is a value on the caller's
// stack: walking allocates nothing.
type message struct {
	rest []byte
	num  protowire.Number
	// bytes is the current field's value where it is length-delimited, nil
	// otherwise.
	bytes []byte
	// varint is the current field's value where it is a varint.
	varint uint64
	err    error
}

func walk(b []byte) message { return message{rest: b} }

// next moves on to the next field, and says whether there is one. After false,
// err tells the end from a malformed message.
func (m *message) next() bool {
	if len(m.rest) == 0 || m.err != nil {
		return false
	}
	num, typ, n := protowire.ConsumeTag(m.rest)
	if n < 0 {
		m.err = fmt.Errorf("read tag: %w", protowire.ParseError(n))
		return false
	}
	m.rest = m.rest[n:]
	m.num, m.bytes, m.varint = num, nil, 0
	switch typ {
	case protowire.BytesType:
		m.bytes, n = protowire.ConsumeBytes(m.rest)
		if n >= 0 && m.bytes == nil {
			m.bytes = []byte{}
		}
	case protowire.VarintType:
		m.varint, n = protowire.ConsumeVarint(m.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, m.rest)
	}
	if n < 0 {
		m.err = fmt.Errorf("read field %d: %w", num, protowire.ParseError(n))
		return false
	}
	m.rest = m.rest[n:]
	return true
}

// sub returns the last length-delimited value of field num in b, as messages
// that occur once are read. It is nil where there is none.
func sub(b []byte, num protowire.Number) ([]byte, error) {
	var found []byte
	m := walk(b)
	for m.next() {
		if m.num == num && m.bytes != nil {
			found = m.bytes
		}
	}
	return found, m.err
}

// text copies a string out of the event, whose bytes are not ours to keep. What is
// not UTF-8 is replaced, since it ends up in JSON and in databases.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
