package main

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// acknowledgeEach is a backend that acknowledges each message as it comes, in its
// order: the messages of one stream are consecutive from 1.
func acknowledgeEach(stream grpc.ServerStream) error {
	var m frame
	for sequence := uint64(1); ; sequence++ {
		if err := stream.RecvMsg(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		m.free()
		b := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), sequence)
		if err := stream.SendMsg(&frame{mem.BufferSlice{mem.SliceBuffer(b)}}); err != nil {
			return err
		}
	}
}
