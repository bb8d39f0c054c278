package rig

import (
	"errors"
	"io"
	"net"

	build "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Acknowledge says when a BES backend acknowledges.
type Acknowledge int

// The habits of backends.
const (
	// AcknowledgeEach acknowledges every message when it comes.
	AcknowledgeEach Acknowledge = iota
	// AcknowledgeAtEnd acknowledges all messages when the stream is complete.
	AcknowledgeAtEnd
	// AcknowledgeNever reads on and says nothing.
	AcknowledgeNever
)

const (
	streamMethod    = "/google.devtools.build.v1.PublishBuildEvent/PublishBuildToolEventStream"
	lifecycleMethod = "/google.devtools.build.v1.PublishBuildEvent/PublishLifecycleEvent"

	maxMessage = 64 << 20
)

// BESBackend is a BES backend that keeps what it gets.
type BESBackend struct {
	recording

	// GRPC is its address as Bazel's --bes_backend names it.
	GRPC string

	acknowledge Acknowledge
}

// StartBESBackend starts a backend.
func StartBESBackend(t T, acknowledge Acknowledge) *BESBackend {
	t.Helper()
	b := &BESBackend{acknowledge: acknowledge}
	b.GRPC = "grpc://" + serveRaw(t, b.serve)
	return b
}

func (b *BESBackend) serve(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	switch method {
	case lifecycleMethod:
		var raw []byte
		if err := stream.RecvMsg(&raw); err != nil {
			return err
		}
		b.addLifecycle(raw)
		return stream.SendMsg(new([]byte))
	case streamMethod:
		return b.stream(stream)
	default:
		return status.Errorf(codes.Unimplemented, "no method %s", method)
	}
}

func (b *BESBackend) stream(stream grpc.ServerStream) error {
	header, _ := metadata.FromIncomingContext(stream.Context())
	var held []*build.PublishBuildToolEventStreamResponse
	for {
		var raw []byte
		err := stream.RecvMsg(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		response, err := b.add(raw, header)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if b.acknowledge != AcknowledgeEach {
			held = append(held, response)
			continue
		}
		if err := send(stream, response); err != nil {
			return err
		}
	}
	if b.acknowledge == AcknowledgeNever {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	for _, response := range held {
		if err := send(stream, response); err != nil {
			return err
		}
	}
	return nil
}

func send(stream grpc.ServerStream, response proto.Message) error {
	raw, err := proto.Marshal(response)
	if err != nil {
		return err
	}
	return stream.SendMsg(&raw)
}

// serveRaw starts a gRPC server that hands every call's messages to handler as
// bytes, and returns its address.
func serveRaw(t T, handler grpc.StreamHandler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a gRPC server: %v", err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(handler), grpc.MaxRecvMsgSize(maxMessage))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve gRPC: %v", err)
		}
	})
	return listener.Addr().String()
}
