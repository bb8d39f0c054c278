package bes

import (
	"context"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

const (
	serviceName     = "google.devtools.build.v1.PublishBuildEvent"
	lifecycleMethod = "/" + serviceName + "/PublishLifecycleEvent"
	streamMethod    = "/" + serviceName + "/PublishBuildToolEventStream"
)

// handler is what the gRPC server calls.
type handler interface {
	serve(stream grpc.ServerStream) error
	lifecycle(ctx context.Context, m *frame) error
}

// serviceDesc describes the service to gRPC with handlers that take frames. The
// generated one decodes every event.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: serviceName,
	HandlerType: (*handler)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "PublishLifecycleEvent",
		Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			var m frame
			if err := decode(&m); err != nil {
				return nil, err
			}
			defer m.free()
			handle := func(ctx context.Context, _ any) (any, error) {
				if err := srv.(handler).lifecycle(ctx, &m); err != nil { //nolint:forcetypeassert // gRPC has checked HandlerType
					return nil, err
				}
				return &frame{mem.BufferSlice{}}, nil // google.protobuf.Empty
			}
			if interceptor == nil {
				return handle(ctx, &m)
			}
			return interceptor(ctx, &m, &grpc.UnaryServerInfo{Server: srv, FullMethod: lifecycleMethod}, handle)
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName: "PublishBuildToolEventStream",
		Handler: func(srv any, stream grpc.ServerStream) error {
			return srv.(handler).serve(stream) //nolint:forcetypeassert // gRPC has checked HandlerType
		},
		ServerStreams: true,
		ClientStreams: true,
	}},
	// The file's name is what server reflection looks the description up by.
	Metadata: buildv1.File_google_devtools_build_v1_publish_build_event_proto.Path(),
}

// Register adds the service to a server that was made with [ServerOptions].
func (s *Service) Register(server grpc.ServiceRegistrar) { server.RegisterService(&serviceDesc, s) }
