package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rs/zerolog"
	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bep"
	"github.com/drayage/drayage/internal/heap"
)

// childFlag comes before the role of a process that the benchmark starts: "relay@" and
// the backend's address, for example.
const childFlag = "child"

// runChild serves until its standard input ends. It prints its address, and its memory
// in use for each line that it reads.
func runChild(role string) error {
	name, backend, _ := strings.Cut(role, "@")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var server *grpc.Server
	switch name {
	case "backend":
		defer heap.Floor(quietFloor)()
		server = grpc.NewServer(grpc.ForceServerCodecV2(newCodec()), grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window))
		server.RegisterService(describe(acknowledgeEach), nil)
	case "raw", "decode":
		conn, err := grpc.NewClient(backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if name == "raw" {
			server = grpc.NewServer(grpc.ForceServerCodecV2(newCodec()))
			server.RegisterService(describe(func(in grpc.ServerStream) error { return copyRaw(in, conn) }), nil)
		} else {
			server = grpc.NewServer()
			buildv1.RegisterPublishBuildEventServer(server, &decoding{client: buildv1.NewPublishBuildEventClient(conn)})
		}
	case "relay", "relay-be":
		defer heap.Floor(heap.DaemonFloor)() // as the daemon does
		mode := bes.Required
		if name == "relay-be" {
			mode = bes.BestEffort
		}
		service, err := bes.New(bes.Config{
			Backends: []bes.Backend{{Name: "backend", Address: "grpc://" + backend, Mode: mode}},
			Observer: scanning{}, Logger: zerolog.New(os.Stderr).Level(zerolog.WarnLevel), Linger: 3 * time.Second,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		server = grpc.NewServer(bes.ServerOptions()...)
		service.Register(server)
	default:
		return fmt.Errorf("unknown role %q", name)
	}
	fmt.Println(listener.Addr())
	go answer(server)
	if err := server.Serve(listener); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// answer prints the memory in use for each line read, and stops the server at the end.
func answer(server *grpc.Server) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Println(m.HeapInuse + m.StackInuse)
	}
	server.Stop()
}

func describe(handle func(grpc.ServerStream) error) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "google.devtools.build.v1.PublishBuildEvent",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "PublishBuildToolEventStream", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return handle(stream) },
		}},
	}
}

// scanning observes as the daemon does.
type scanning struct{}

func (scanning) Begin(context.Context, bes.Stream) bes.Observation {
	return &scan{bep.NewScanner(bep.Options{})}
}

type scan struct{ *bep.Scanner }

func (s *scan) Observe(e bes.Event) func(context.Context) error {
	if _, err := s.Scan(e.BazelEvent); err != nil {
		panic(err) // the benchmark's events are well-formed
	}
	return nil
}

func (s *scan) End(error) {}

// copyRaw copies both ways and looks at nothing.
func copyRaw(in grpc.ServerStream, conn *grpc.ClientConn) error {
	out, err := conn.NewStream(in.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, streamMethod,
		grpc.ForceCodecV2(newCodec()))
	if err != nil {
		return err
	}
	go func() {
		var m frame
		for in.RecvMsg(&m) == nil {
			err := out.SendMsg(&m)
			m.free()
			if err != nil {
				return
			}
		}
		_ = out.CloseSend()
	}()
	var m frame
	for {
		if err := out.RecvMsg(&m); err != nil {
			return ended(err)
		}
		err := in.SendMsg(&m)
		m.free()
		if err != nil {
			return err
		}
	}
}

// decoding decodes every message and encodes it again.
type decoding struct {
	buildv1.UnimplementedPublishBuildEventServer
	client buildv1.PublishBuildEventClient
}

func (d *decoding) PublishBuildToolEventStream(in buildv1.PublishBuildEvent_PublishBuildToolEventStreamServer) error {
	out, err := d.client.PublishBuildToolEventStream(in.Context())
	if err != nil {
		return err
	}
	go func() {
		for {
			request, err := in.Recv()
			if err != nil || out.Send(request) != nil {
				_ = out.CloseSend()
				return
			}
		}
	}()
	for {
		response, err := out.Recv()
		if err != nil {
			return ended(err)
		}
		if err := in.Send(response); err != nil {
			return err
		}
	}
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
