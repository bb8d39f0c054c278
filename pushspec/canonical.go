package pushspec

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/net/idna"
)

// dockerHub is the one name of Docker Hub, and dockerHubs are all of them.
const dockerHub = "index.docker.io"

var dockerHubs = []string{"docker.io", dockerHub, "registry-1.docker.io"}

// CanonicalRegistry returns the one name of a registry's host: in lower case, without a dot
// at its end, without the default port (443, or 80 on loopback, where registries speak plain
// HTTP), international names in ASCII, IP addresses in their usual form, and
// index.docker.io for Docker Hub. Compare hosts by it, and make keys of it. The error is
// that of [CheckRegistry].
func CanonicalRegistry(text string) (string, error) {
	if strings.ContainsAny(text, "/@") {
		return "", CheckRegistry(text)
	}
	host, port, err := splitHost(strings.ToLower(text))
	if err != nil {
		return "", fmt.Errorf("%q must be a host such as ghcr.io, localhost:5000 or registry:5000: it %w", clip(text), err)
	}
	host = strings.TrimSuffix(host, ".")
	if strings.IndexFunc(host, func(r rune) bool { return r >= 0x80 }) >= 0 {
		// As HTTP clients do: the profile would refuse what names in ASCII may hold.
		if host, err = idna.Lookup.ToASCII(host); err != nil {
			return "", fmt.Errorf("%q must be a host: %w", clip(text), err)
		}
		host = strings.TrimSuffix(host, ".")
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Zone() == "" {
		host = address.Unmap().String()
	}
	if slices.Contains(dockerHubs, host) && (port == "" || port == "443") {
		return dockerHub, nil
	}
	canonical := joinHost(host, withoutDefault(host, port))
	if err := CheckRegistry(canonical); err != nil {
		return "", err
	}
	return canonical, nil
}

// withoutDefault is the port, or "" if it goes without saying. A name without a dot needs
// its port: else it would be read as a part of the repository's name.
func withoutDefault(host, port string) string {
	usual := "443"
	// Not internal/loopback: this package imports nothing of the daemon's.
	address, err := netip.ParseAddr(host)
	if err == nil && address.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		usual = "80"
	}
	if port == usual && (host == "localhost" || strings.ContainsAny(host, ".:")) {
		return ""
	}
	return port
}

func joinHost(host, port string) string {
	switch {
	case port != "":
		return net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		return "[" + host + "]"
	}
	return host
}

// CanonicalRepository splits REGISTRY/REPOSITORY. The registry is as [CanonicalRegistry]
// has it, and the repository as registries know it.
func CanonicalRepository(text string) (registry, repository string, err error) {
	host, path, found := strings.Cut(text, "/")
	if !found {
		return "", "", fmt.Errorf("%q must be REGISTRY/REPOSITORY", clip(text))
	}
	if registry, err = CanonicalRegistry(host); err != nil {
		return "", "", err
	}
	// The reference grammar is looser than registries are: it has "..".
	if err := CheckRepository(path); err != nil {
		return "", "", err
	}
	repo, err := name.NewRepository(registry+"/"+path, name.StrictValidation)
	if err != nil {
		return "", "", fmt.Errorf("%q must be REGISTRY/REPOSITORY: %w", clip(text), err)
	}
	return registry, repo.RepositoryStr(), nil
}

// RegistryNames are all the names of a registry's host, given one of them.
func RegistryNames(host string) []string {
	if slices.Contains(dockerHubs, host) {
		return slices.Clone(dockerHubs)
	}
	return []string{host}
}
