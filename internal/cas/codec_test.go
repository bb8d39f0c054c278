package cas

import (
	"bytes"
	"io"
	"testing"

	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// FuzzChunk holds the codec against the usual one: what both can read they read
// alike.
func FuzzChunk(f *testing.F) {
	for _, data := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("y"), 300)} {
		message, err := proto.Marshal(&bspb.ReadResponse{Data: data})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message, 7)
		f.Add(append([]byte{0x08, 0x01}, message...), 1)
	}
	f.Add([]byte{0x52, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 3)
	f.Fuzz(func(t *testing.T, message []byte, cut int) {
		cut = max(0, min(cut, len(message)))
		var got chunk
		err := chunkCodec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(message[:cut]), mem.SliceBuffer(message[cut:])}, &got)
		if err != nil {
			return
		}
		defer got.release()
		var data []byte
		if got.data != nil {
			if data, err = io.ReadAll(got.data); err != nil {
				t.Fatal(err)
			}
		}
		var want bspb.ReadResponse
		if err := proto.Unmarshal(message, &want); err != nil {
			return
		}
		if !bytes.Equal(data, want.GetData()) {
			t.Errorf("%x was read as %x, want %x", message, data, want.GetData())
		}
	})
}
