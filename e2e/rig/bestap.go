package rig

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// BESTap stands between Bazel and a BES server, passes every byte on, and keeps
// what Bazel sent.
type BESTap struct {
	recording

	// GRPC is its address as Bazel's --bes_backend names it.
	GRPC string

	server *grpc.ClientConn
}

// StartBESTap starts a tap in front of a server: grpc://HOST:PORT.
func StartBESTap(t T, server string) *BESTap {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(server, "grpc://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		t.Fatalf("start a tap: %v", err)
	}
	tap := &BESTap{server: connection}
	tap.GRPC = "grpc://" + serveRaw(t, tap.serve)
	t.Cleanup(func() { connection.Close() })
	return tap
}

func (b *BESTap) serve(_ any, client grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(client)
	header, _ := metadata.FromIncomingContext(client.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(client.Context(), header.Copy()))
	defer cancel()
	both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	server, err := b.server.NewStream(ctx, both, method)
	if err != nil {
		return err
	}
	// It ends when this function returns, for that ends both streams.
	go b.forward(client, server, method, header)
	for {
		var raw []byte
		err := server.RecvMsg(&raw)
		if err == nil {
			err = client.SendMsg(&raw)
		}
		if err != nil {
			cancel()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
	}
}

// forward passes the client's messages on until either side ends.
func (b *BESTap) forward(client grpc.ServerStream, server grpc.ClientStream, method string, header metadata.MD) {
	defer func() { _ = server.CloseSend() }() // the server's answer tells what was wrong
	for {
		var raw []byte
		if err := client.RecvMsg(&raw); err != nil {
			return
		}
		if method == streamMethod {
			if _, err := b.add(raw, header); err != nil {
				return
			}
		} else {
			b.addLifecycle(raw)
		}
		if err := server.SendMsg(&raw); err != nil {
			return
		}
	}
}
