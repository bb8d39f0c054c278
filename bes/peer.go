package bes

import (
	"context"
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
			stream.Certificate = certificateName(info)
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

// certificateName names a client by its certificate, if that was verified.
func certificateName(info credentials.TLSInfo) string {
	if len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return ""
	}
	leaf := info.State.VerifiedChains[0][0]
	switch {
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	default:
		return leaf.Subject.CommonName
	}
}

// hostOf is a network address without its port. A client on a unix socket has no
// address worth telling.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
