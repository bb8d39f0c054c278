package bes_test

import (
	"errors"
	"io"
	"net"
	"testing"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes"
)

// send sends requests over one stream and takes their acknowledgements.
func send(t *testing.T, target string, requests [][]byte) {
	t.Helper()
	stream := open(t, target)
	for _, request := range requests {
		var m buildv1.PublishBuildToolEventStreamRequest
		if err := proto.Unmarshal(request, &m); err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&m); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) && n == len(requests) {
			return
		}
		if err != nil {
			t.Fatalf("after %d of %d acknowledgements: %v", n, len(requests), err)
		}
	}
}

// open opens a stream and sends nothing.
func open(t *testing.T, target string) buildv1.PublishBuildEvent_PublishBuildToolEventStreamClient {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	stream, err := buildv1.NewPublishBuildEventClient(conn).PublishBuildToolEventStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// openRaw opens a stream that takes and gives encoded messages.
func openRaw(t *testing.T, target string, headers ...string) grpc.ClientStream {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	stream, err := conn.NewStream(metadata.AppendToOutgoingContext(testContext(t), headers...), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/google.devtools.build.v1.PublishBuildEvent/PublishBuildToolEventStream")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// rawCodec sends []byte and receives into *[]byte.
type rawCodec struct{}

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (rawCodec) Name() string { return "proto" }

// serveHealth serves a relay's health apart from the relay.
func serveHealth(t *testing.T, r *relay) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(bes.ServerOptions()...)
	r.RegisterHealth(server)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return listener.Addr().String()
}
