package rulesdoc

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protocol buffer without its descriptor: the values of each field
// in their order, as bytes or as a number.
type message struct {
	bytes   map[protowire.Number][][]byte
	numbers map[protowire.Number]uint64
}

func parseMessage(data []byte) (message, error) {
	m := message{bytes: map[protowire.Number][][]byte{}, numbers: map[protowire.Number]uint64{}}
	for len(data) > 0 {
		number, kind, length := protowire.ConsumeTag(data)
		if length < 0 {
			return m, fmt.Errorf("read a field's tag: %w", protowire.ParseError(length))
		}
		data = data[length:]
		switch kind {
		case protowire.BytesType:
			value, length := protowire.ConsumeBytes(data)
			if length < 0 {
				return m, fmt.Errorf("read field %d: %w", number, protowire.ParseError(length))
			}
			m.bytes[number] = append(m.bytes[number], value)
			data = data[length:]
		case protowire.VarintType:
			value, length := protowire.ConsumeVarint(data)
			if length < 0 {
				return m, fmt.Errorf("read field %d: %w", number, protowire.ParseError(length))
			}
			m.numbers[number] = value
			data = data[length:]
		default:
			return m, fmt.Errorf("read field %d: there is no field of wire type %d", number, kind)
		}
	}
	return m, nil
}

// text is a string field, or "".
func (m message) text(number protowire.Number) string {
	values := m.bytes[number]
	if len(values) == 0 {
		return ""
	}
	return string(values[len(values)-1])
}

// texts are the values of a repeated string field.
func (m message) texts(number protowire.Number) []string {
	var texts []string
	for _, value := range m.bytes[number] {
		texts = append(texts, string(value))
	}
	return texts
}

// each decodes every message of a field.
func each[T any](m message, number protowire.Number, decode func(message) (T, error)) ([]T, error) {
	var all []T
	for _, value := range m.bytes[number] {
		inner, err := parseMessage(value)
		if err != nil {
			return nil, err
		}
		decoded, err := decode(inner)
		if err != nil {
			return nil, err
		}
		all = append(all, decoded)
	}
	return all, nil
}
