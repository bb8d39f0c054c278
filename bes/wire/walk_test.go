package wire

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// FuzzWalk holds the fast way against the slow one.
func FuzzWalk(f *testing.F) {
	field := func(num protowire.Number, size int) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), make([]byte, size))
	}
	for _, size := range []int{0, 1, 127, 128, 16383, 16384} {
		f.Add(field(1, size))
		f.Add(append(field(15, size), field(16, size)...))
		f.Add(field(4, size)[:1+size/2])
	}
	f.Add([]byte{0x0a, 0xff, 0xff, 0x03, 'x'})
	f.Add([]byte{0x0a, 0x81, 0x00, 'x'}) // a length of 1 in two bytes
	f.Add([]byte{0x02, 0x01, 'x'})       // field 0
	f.Add(protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1<<63))
	f.Add([]byte{0x10, 0x05})
	f.Add([]byte{0x10, 0x05, 0x0d, 1, 2, 3, 4, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, b []byte) {
		fast, slow := Walk(b), Walk(b)
		for {
			more := fast.Next()
			if want := len(slow.rest) > 0 && slow.Err == nil && slow.next(); more != want {
				t.Fatalf("Next is %v, want %v", more, want)
			}
			if !more {
				break
			}
			if fast.Num != slow.Num || fast.VarintNum != slow.VarintNum || fast.Varint != slow.Varint || !bytes.Equal(fast.Bytes, slow.Bytes) || (fast.Bytes == nil) != (slow.Bytes == nil) {
				t.Fatalf("field %d %x, %d %d, want %d %x, %d %d", fast.Num, fast.Bytes, fast.VarintNum, fast.Varint, slow.Num, slow.Bytes, slow.VarintNum, slow.Varint)
			}
			if (fast.Num != 0) != (fast.Bytes != nil) || fast.Num != 0 && fast.VarintNum != 0 {
				t.Fatalf("field %d with %x and field %d are one", fast.Num, fast.Bytes, fast.VarintNum)
			}
		}
		if (fast.Err == nil) != (slow.Err == nil) {
			t.Fatalf("error %v, want %v", fast.Err, slow.Err)
		}
	})
}

func TestSubTakesTheLast(t *testing.T) {
	b := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "first")
	b = protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), "last")
	b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), 7)
	got, err := Sub(b, 3)
	if err != nil || string(got) != "last" {
		t.Errorf("Sub = %q, %v", got, err)
	}
	if got, err := Sub(b, 4); got != nil || err != nil {
		t.Errorf("Sub of a field that is not there = %q, %v", got, err)
	}
	if _, err := Sub(b[:len(b)-1], 3); err == nil {
		t.Error("a message that is cut off is read without an error")
	}
}
