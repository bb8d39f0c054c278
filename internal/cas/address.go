package cas

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// parseAddress turns an address, in the forms that Bazel's --remote_cache accepts
// for gRPC, into a gRPC target and the transport's credentials.
func parseAddress(address string) (string, credentials.TransportCredentials, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" || path == "//" {
			return "", nil, fmt.Errorf("remote cache address %q must have the path of a socket: unix:/path", address)
		}
		return "unix:" + path, insecure.NewCredentials(), nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", nil, fmt.Errorf("remote cache address %q must be grpc://host:port, grpcs://host:port or unix:/path", address)
	}
	port := u.Port()
	var transport credentials.TransportCredentials
	switch u.Scheme {
	case "grpc":
		transport = insecure.NewCredentials()
		if port == "" {
			port = "80"
		}
	case "grpcs":
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
		if port == "" {
			port = "443"
		}
	default:
		return "", nil, fmt.Errorf("remote cache address %q: the scheme %s must be grpc, grpcs or unix", address, u.Scheme)
	}
	return "dns:///" + net.JoinHostPort(u.Hostname(), port), transport, nil
}
