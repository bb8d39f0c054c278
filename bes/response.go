package bes

import "google.golang.org/protobuf/encoding/protowire"

// responses makes the PublishBuildToolEventStreamResponses of one stream, a
// batch of memory at a time: one is made for every message that passes.
type responses struct {
	streamID []byte
	bytes    []byte
	frames   []flatFrame
}

// maxAcknowledgement is what an acknowledgement's sequence number and the two tags and
// lengths take at most, in bytes.
const maxAcknowledgement = 32

// next makes the acknowledgement of a message.
func (r *responses) next(sequence int64) *frame {
	size := len(r.streamID) + maxAcknowledgement
	if cap(r.bytes)-len(r.bytes) < size {
		r.bytes = make([]byte, 0, flatFramesAtATime*size)
	}
	if len(r.frames) == 0 {
		r.frames = make([]flatFrame, flatFramesAtATime)
	}
	start := len(r.bytes)
	b := r.bytes
	b = protowire.AppendBytes(protowire.AppendTag(b, responseStreamID, protowire.BytesType), r.streamID)
	b = protowire.AppendVarint(protowire.AppendTag(b, responseSequence, protowire.VarintType), uint64(sequence))
	r.bytes = b
	f := &r.frames[0]
	r.frames = r.frames[1:]
	return f.fill(b[start:len(b):len(b)])
}
