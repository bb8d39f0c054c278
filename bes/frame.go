package bes

import "google.golang.org/grpc/mem"

// frame is one message in the bytes that it came in, or is to leave in. Whoever
// received it frees it.
type frame struct{ data mem.BufferSlice }

// bytes returns the message in one piece, valid until free.
func (f *frame) bytes() []byte {
	switch len(f.data) {
	case 0:
		return nil
	case 1:
		return f.data[0].ReadOnlyData()
	}
	whole := f.data.MaterializeToBuffer(mem.DefaultBufferPool())
	f.data.Free()
	f.data = mem.BufferSlice{whole}
	return whole.ReadOnlyData()
}

func (f *frame) free() {
	f.data.Free()
	f.data = nil
}

// flatFrame is a message in one piece as gRPC takes it, without an allocation for each of
// its parts.
type flatFrame struct {
	slice mem.SliceBuffer
	one   [1]mem.Buffer
	frame frame
}

// fill makes b the frame's message.
func (f *flatFrame) fill(b []byte) *frame {
	f.slice = b
	f.one[0] = &f.slice
	f.frame.data = f.one[:]
	return &f.frame
}

// flatFramesAtATime is how many are allocated together.
const flatFramesAtATime = 32
