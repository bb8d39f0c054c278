package bes

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// acknowledgements makes the PublishBuildToolEventStreamResponses of one stream, a
// batch of memory at a time: one is made for every message that passes.
type acknowledgements struct {
	streamID []byte
	bytes    []byte
	slots    []slot
}

// slot is a message in one piece as gRPC takes it, without an allocation for each of
// its parts.
type slot struct {
	slice mem.SliceBuffer
	one   [1]mem.Buffer
	frame frame
}

// fill makes b the slot's message.
func (s *slot) fill(b []byte) *frame {
	s.slice = b
	s.one[0] = &s.slice
	s.frame.data = s.one[:]
	return &s.frame
}

const (
	// slotsAtATime is how many slots are allocated together.
	slotsAtATime = 32
	// maxAcknowledgement is what an acknowledgement's sequence number and the two
	// tags and lengths take at most, in bytes.
	maxAcknowledgement = 32
)

// next makes the acknowledgement of a message.
func (a *acknowledgements) next(sequence int64) *frame {
	size := len(a.streamID) + maxAcknowledgement
	if cap(a.bytes)-len(a.bytes) < size {
		a.bytes = make([]byte, 0, slotsAtATime*size)
	}
	if len(a.slots) == 0 {
		a.slots = make([]slot, slotsAtATime)
	}
	start := len(a.bytes)
	b := a.bytes
	b = protowire.AppendBytes(protowire.AppendTag(b, responseStreamID, protowire.BytesType), a.streamID)
	b = protowire.AppendVarint(protowire.AppendTag(b, responseSequence, protowire.VarintType), uint64(sequence))
	a.bytes = b
	s := &a.slots[0]
	a.slots = a.slots[1:]
	return s.fill(b[start:len(b):len(b)])
}
