package server

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/admission"
)

// tokenHeader is the header in which Bazel shows a token, as --bes_header sets it. It
// is one of the daemon's own.
// See docs/decisions/0011-a-token-header-of-our-own.md.
const tokenHeader = "x-drayage-token" //nolint:gosec // a name, and no token

// access names the clients of both servers.
type access struct{ admission *admission.Admission }

// stream names who sends a stream, and tells whether that is proved.
func (a access) stream(stream bes.Stream) (client string, proved bool) {
	var token string
	if shown := stream.Metadata[tokenHeader]; len(shown) > 0 {
		token = shown[0]
	}
	client, err := a.admission.Identify(token, stream.Certificate, stream.Host())
	if err != nil {
		// The call was refused before it came to be a stream.
		return "", false
	}
	return client, token != "" || stream.Certificate != ""
}

// owner is who a stream belongs to: who has proved who it is, or nobody.
func (a access) owner(stream bes.Stream) string {
	if client, proved := a.stream(stream); proved {
		return client
	}
	return ""
}

// check refuses a call that shows a token which is nobody's. Bazel tries again for a
// quarter of a minute on UNAUTHENTICATED, and not on FAILED_PRECONDITION.
func (a access) check(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, token := range md.Get(tokenHeader) {
		if _, err := a.admission.Identify(token, "", ""); err != nil {
			return status.Errorf(codes.FailedPrecondition, "drayaged: %s: %s", tokenHeader, err)
		}
	}
	return nil
}

func (a access) serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := a.check(ctx); err != nil {
				return nil, err
			}
			return handle(ctx, request)
		}),
		grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := a.check(stream.Context()); err != nil {
				return err
			}
			return handle(server, stream)
		}),
	}
}

// Client implements [web.Access]. A token comes as bearer token, or as the password
// that a browser has asked its user for.
func (a access) Client(r *http.Request) (string, error) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		_, token, _ = r.BasicAuth()
	}
	certificate := ""
	if r.TLS != nil {
		certificate = bes.CertificateName(*r.TLS)
	}
	return a.admission.Identify(token, certificate, hostOf(r.RemoteAddr))
}

// MayRead implements [web.Access].
func (a access) MayRead(client string) bool { return a.admission.MayRead(client) }

// MayOperate implements [web.Access].
func (a access) MayOperate(client string) bool { return a.admission.MayOperate(client) }

// MayPromote implements [web.Access].
func (a access) MayPromote(client string) bool { return a.admission.MayPromote(client) }

// MayPromoteWithheld implements [web.Access].
func (a access) MayPromoteWithheld(client string) bool { return a.admission.MayPromoteWithheld(client) }
