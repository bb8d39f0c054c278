package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/dispatch"
)

// tokenHeader is the header in which Bazel shows a token, as --bes_header sets it. It
// is one of the daemon's own.
// See docs/decisions/0011-a-token-header-of-our-own.md.
const tokenHeader = "x-drayage-token" //nolint:gosec // a name, and no token

// access names the clients of both servers.
type access struct {
	admission *admission.Admission
	refusals  *dispatch.Refusals
}

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

// client is who sends a stream.
func (a access) client(stream bes.Stream) string {
	client, _ := a.stream(stream)
	return client
}

// refusedStream notes that a stream was refused since too many are open: its client's own,
// or all.
func (a access) refusedStream(client string, own bool) {
	if own {
		a.refusals.Note("client_streams", client, "", "refused a stream of a client that has too many open (limits.client_streams)")
		return
	}
	a.refusals.Note("max_streams", client, "", "refused a stream: too many are open (relay.max_streams)")
}

// owner is who a stream belongs to: who has proved who it is, or nobody.
func (a access) owner(stream bes.Stream) string {
	if client, proved := a.stream(stream); proved {
		return client
	}
	return ""
}

// buildEvents is what the methods begin with that take build events.
const buildEvents = "/google.devtools.build."

// check refuses a call that shows a token which is nobody's, and build events of a client
// that may send none. Bazel tries again for a quarter of a minute on UNAUTHENTICATED and on
// PERMISSION_DENIED, and not on FAILED_PRECONDITION.
func (a access) check(ctx context.Context, method string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	token := ""
	for i, shown := range md.Get(tokenHeader) {
		if _, err := a.admission.Identify(shown, "", ""); err != nil {
			return status.Errorf(codes.FailedPrecondition, "drayaged: %s: %s", tokenHeader, err)
		}
		if i == 0 {
			token = shown
		}
	}
	if !strings.HasPrefix(method, buildEvents) {
		return nil
	}
	certificate, address := "", ""
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			certificate = bes.CertificateName(info.State)
		}
		if p.Addr != nil {
			address = hostOf(p.Addr.String())
		}
	}
	client, err := a.admission.Identify(token, certificate, address)
	if err == nil && !a.admission.MayStream(client) {
		a.refusals.Note(dispatch.RefusedByPolicy, client, "", "refused the build events of a client that is not in policy.stream")
		err = fmt.Errorf("%s may not send build events to this daemon: it is not in policy.stream", client)
	}
	if err != nil {
		return status.Errorf(codes.FailedPrecondition, "drayaged: %s", err)
	}
	return nil
}

func (a access) serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := a.check(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, request)
		}),
		grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := a.check(stream.Context(), info.FullMethod); err != nil {
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
