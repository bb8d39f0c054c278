package credhelper

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// PerRPC gives a helper's headers to every call of a gRPC client
// (credentials.PerRPCCredentials).
type PerRPC struct {
	Helper *Helper
	// Insecure also sends the headers over plain text.
	Insecure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials. All headers are
// handed on, not Authorization alone; several values of one are joined.
func (p PerRPC) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	// gRPC names the service, as in https://cache.example/google.bytestream.ByteStream;
	// Bazel asks its helpers for the same.
	headers, err := p.Helper.Headers(ctx, strings.Join(uri, " "))
	if err != nil {
		// A plain error here would be UNAUTHENTICATED to gRPC, as if the server had
		// refused.
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	metadata := make(map[string]string, len(headers))
	for name, values := range headers {
		if len(values) > 0 {
			metadata[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	return metadata, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (p PerRPC) RequireTransportSecurity() bool { return !p.Insecure }
