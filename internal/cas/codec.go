package cas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// chunk is a google.bytestream.ReadResponse whose data stay in the buffers that
// they were received in: servers send chunks of up to 2 MiB, and decoding one in
// the usual way copies it twice.
type chunk struct {
	data *mem.Reader
}

// release gives the buffers back.
func (c *chunk) release() {
	if c.data != nil {
		// Closing only gives buffers back.
		_ = c.data.Close()
		c.data = nil
	}
}

// dataField is the number of ReadResponse's only field, data.
const dataField = 10

// chunkCodec decodes into a [chunk], and encodes any message.
type chunkCodec struct{}

func (chunkCodec) Name() string { return "proto" }

func (chunkCodec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("encode %T: it must be a message", v)
	}
	data, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// Unmarshal finds the last data field, which is the one that counts, and skips
// fields that it does not know.
func (chunkCodec) Unmarshal(data mem.BufferSlice, v any) error {
	c, ok := v.(*chunk)
	if !ok {
		return fmt.Errorf("decode %T: it must be a chunk", v)
	}
	c.release()
	r := data.Reader()
	for {
		if r.Remaining() == 0 {
			return r.Close()
		}
		length, isData, err := nextField(r)
		if err == nil && length > uint64(r.Remaining()) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return errors.Join(fmt.Errorf("decode chunk: %w", err), r.Close())
		}
		if isData && length == uint64(r.Remaining()) {
			c.data = r
			return nil
		}
		// Data are the only field today, so this is another's.
		if isData {
			return errors.Join(errors.New("decode chunk: other fields follow the data"), r.Close())
		}
		if _, err := r.Discard(int(length)); err != nil {
			return errors.Join(fmt.Errorf("decode chunk: %w", err), r.Close())
		}
	}
}

// nextField reads a field's head, and gives the length of what follows.
func nextField(r *mem.Reader) (length uint64, isData bool, err error) {
	tag, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, false, err
	}
	number, kind := protowire.DecodeTag(tag)
	switch kind {
	case protowire.BytesType:
		length, err = binary.ReadUvarint(r)
		return length, number == dataField, err
	case protowire.VarintType:
		_, err = binary.ReadUvarint(r)
		return 0, false, err
	case protowire.Fixed32Type:
		return 4, false, nil
	case protowire.Fixed64Type:
		return 8, false, nil
	}
	return 0, false, fmt.Errorf("wire type %d is unknown", kind)
}
