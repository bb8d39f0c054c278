package registry

import (
	"context"
	"fmt"
	"strings"
)

// Access finds out how a registry is reached, and which credentials there are for a
// repository there and where they come from, without asking the registry. The error is
// one for which nothing would be sent.
func (c *Client) Access(ctx context.Context, registry, repository string) ([]Finding, error) {
	repo, err := c.Repository(registry, repository, Caller{Invocation: "doctor"})
	if err != nil {
		return nil, err
	}
	h := repo.host
	reached := h.endpoint.finding()
	if h.endpoint.broken != nil {
		return []Finding{reached}, fmt.Errorf("registry %s %w", repo.Registry(), h.endpoint.broken)
	}
	found := Finding{Name: "credentials"}
	cred, err := h.auth.credential(ctx, repo.name)
	if err != nil {
		found.Err = err.Error()
		return []Finding{reached, found}, err
	}
	kind := tokenKind(cred.AuthConfig)
	if cred.RegistryToken != "" {
		_, kind = basicHeader(cred.AuthConfig)
	}
	found.Works = !cred.Anonymous()
	switch {
	case !found.Works:
		found.Detail = "none found in " + shorten(strings.Join(cred.Looked, ", "), maxLooked)
	case cred.Source == "":
		found.Detail = "asked " + kind
	default:
		found.Detail = "asked " + kind + ": " + cred.Source
	}
	return []Finding{reached, found}, nil
}

// finding says how a host is reached.
func (e *endpoint) finding() Finding {
	f := Finding{Name: "TLS", Works: true, Detail: "the certificate is verified with the system's authorities"}
	switch {
	case e.broken != nil:
		return Finding{Name: "TLS", Err: e.broken.Error()}
	case e.plain:
		return Finding{Name: "TLS", Detail: "plain HTTP: anybody on the way can read and change what is sent"}
	case e.tls == nil:
	case e.tls.InsecureSkipVerify:
		return Finding{Name: "TLS", Detail: "the certificate is NOT verified, as the settings say: anybody on the way can read and change what is sent"}
	case e.tls.RootCAs != nil:
		f.Detail = "the certificate is verified with the system's authorities and those of the settings"
	}
	if e.tls != nil && len(e.tls.Certificates) > 0 {
		f.Detail += "; a client certificate is shown"
	}
	return f
}
