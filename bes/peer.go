package bes

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// describe gathers what is known of a stream from the call that it came in.
func (s *Service) describe(ctx context.Context, id StreamID) Stream {
	stream := Stream{StreamID: id}
	if p, ok := peer.FromContext(ctx); ok {
		if p.Addr != nil {
			stream.Peer = p.Addr.String()
		}
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			stream.Certificate = CertificateName(info.State)
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	stream.UserAgent = strings.Join(md.Get("user-agent"), " ")
	for _, name := range s.config.ObserveHeaders {
		if values := md.Get(name); len(values) > 0 {
			if stream.Metadata == nil {
				stream.Metadata = make(map[string][]string)
			}
			stream.Metadata[strings.ToLower(name)] = values
		}
	}
	return stream
}

// owner is who a stream belongs to.
func (s *Service) owner(stream Stream) string {
	if s.config.Owner != nil {
		return s.config.Owner(stream)
	}
	return stream.Certificate
}

// CertificateName names a client by the certificate that it showed, if that was
// verified: by its first URI or DNS name, else by the subject's common name.
func CertificateName(state tls.ConnectionState) string {
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return ""
	}
	leaf := state.VerifiedChains[0][0]
	switch {
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	default:
		return leaf.Subject.CommonName
	}
}

// Host is the client's network address without its port. A client on a Unix socket
// has no address worth telling.
func (s Stream) Host() string {
	host, _, err := net.SplitHostPort(s.Peer)
	if err != nil {
		return s.Peer
	}
	return host
}
