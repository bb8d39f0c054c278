// Package hostsettings are the settings of single registry hosts, as the daemon's
// configuration has them under registries, and as drayage reads them from a file.
package hostsettings

import (
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/strictyaml"
)

// Registry holds the settings of one registry host.
type Registry struct {
	// Host is the registry as push specs name it, with its port if any.
	Host string `yaml:"host"`
	// PlainHTTP reaches it without TLS.
	PlainHTTP bool `yaml:"plain_http"`
	// TLS is how it is reached with it.
	TLS TLS `yaml:"tls"`
	// Headers are sent with every request to it.
	Headers map[string]string `yaml:"headers"`
	// TokenService is the address, http(s)://HOST[:PORT], of a token service that may be
	// asked for it although it is in a private network, or speaks plain HTTP.
	TokenService string `yaml:"token_service"`

	// What follows says what the registry can. What is not set is found out.

	// Mounts says whether blobs may be mounted from other repositories.
	Mounts *bool `yaml:"mounts"`
	// Chunk is the size in bytes of the chunks that uploads have to come in; -1 is one
	// PUT for each blob.
	Chunk int64 `yaml:"chunk"`
	// TagsQuery says whether several tags may be written in one request.
	TagsQuery *bool `yaml:"tags_query"`
	// ReferrersAPI says whether the registry keeps track of referrers itself.
	ReferrersAPI *bool `yaml:"referrers_api"`
	// Head says whether manifests and blobs may be looked up by HEAD.
	Head *bool `yaml:"head"`
	// DeniesUnknown says whether 403 is answered where 404 is meant.
	DeniesUnknown *bool `yaml:"denies_unknown"`
}

// minChunk is the least that a chunk of an upload may have: each costs a request.
const minChunk = 64 << 10

// TLS names the PEM files of a connection to a registry.
type TLS struct {
	// CA holds authorities that are trusted besides the system's and those of certs.d.
	CA string `yaml:"ca"`
	// Cert and Key are shown to the registry.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// SkipVerify takes any certificate for the registry's. It is logged at the start, and
	// with each connection.
	SkipVerify bool `yaml:"skip_verify"`
}

// Options are the options of the hosts by the names that a client knows them by. It reads
// the files that they name.
func Options(list []Registry) (map[string]registry.HostOptions, error) {
	hosts := map[string]registry.HostOptions{}
	for i, r := range list {
		if r.Host == "" {
			return nil, fmt.Errorf("registries[%d].host: must be set", i)
		}
		host, err := hostName(r.Host)
		if err != nil {
			return nil, fmt.Errorf("registries[%d].host: %w", i, err)
		}
		if _, twice := hosts[host]; twice {
			return nil, fmt.Errorf("registries[%d].host: %s must not be listed twice", i, r.Host)
		}
		options := registry.HostOptions{
			PlainHTTP: r.PlainHTTP, CA: r.TLS.CA, Cert: r.TLS.Cert, Key: r.TLS.Key, SkipVerify: r.TLS.SkipVerify,
			Headers: r.Headers, TokenService: r.TokenService,
			Settings: registry.Settings{
				Mounts: r.Mounts, Chunk: r.Chunk, TagsQuery: r.TagsQuery, ReferrersAPI: r.ReferrersAPI, Head: r.Head, DeniesUnknown: r.DeniesUnknown,
			},
		}
		if r.Chunk < -1 || r.Chunk > 0 && r.Chunk < minChunk {
			return nil, fmt.Errorf("registries[%d] (%s).chunk: %d must be at least %d bytes, or -1 for uploads in one piece", i, r.Host, r.Chunk, minChunk)
		}
		if err := options.Check(); err != nil {
			return nil, fmt.Errorf("registries[%d] (%s): %w", i, r.Host, err)
		}
		hosts[host] = options
	}
	return hosts, nil
}

// hostName is a host as a client knows it: Docker Hub's many names are one.
func hostName(text string) (string, error) {
	host, err := name.NewRegistry(text, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("%q must be HOST or HOST:PORT", text)
	}
	return host.RegistryStr(), nil
}

// Load reads a file that holds a list of registries, and adds hosts that are reached by
// plain HTTP. Without a path there are those alone.
func Load(path string, plainHTTP []string) (map[string]registry.HostOptions, error) {
	hosts := map[string]registry.HostOptions{}
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the settings of registries: %w", err)
		}
		var file struct {
			Registries []Registry `yaml:"registries"`
		}
		if err := strictyaml.Decode(data, &file); err != nil {
			return nil, fmt.Errorf("settings of registries %s: %w", path, err)
		}
		if hosts, err = Options(file.Registries); err != nil {
			return nil, fmt.Errorf("settings of registries %s: %w", path, err)
		}
	}
	for _, text := range plainHTTP {
		host, err := hostName(text)
		if err != nil {
			return nil, fmt.Errorf("--plain-http: %w", err)
		}
		options := hosts[host]
		options.PlainHTTP = true
		if err := options.Check(); err != nil {
			return nil, fmt.Errorf("--plain-http %s: %w", text, err)
		}
		hosts[host] = options
	}
	return hosts, nil
}
