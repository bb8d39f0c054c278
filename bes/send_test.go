package bes_test

import (
	"errors"
	"io"
	"testing"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
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
