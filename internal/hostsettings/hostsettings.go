// Package hostsettings has the settings of single registry hosts. The daemon's
// configuration has them under registries; the drayage tool reads them from a file.
package hostsettings

import (
	"fmt"
	"os"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/strictyaml"
	"github.com/drayage/drayage/pushspec"
)

// Registry holds the settings of one registry host.
type Registry struct {
	// Host is the registry's name in push specs, with its port if it has one. With a policy,
	// the daemon connects to addresses that are not public only for hosts that are named.
	Host string `yaml:"host"`
	// PlainHTTP connects without TLS.
	PlainHTTP bool `yaml:"plain_http"`
	// TLS are the settings of connections with TLS.
	TLS TLS `yaml:"tls"`
	// Headers are sent with every request to the registry.
	Headers map[string]string `yaml:"headers"`
	// TokenService is the address, http(s)://HOST[:PORT], of a token service that is
	// trusted even if it is in a private network or uses plain HTTP.
	TokenService string `yaml:"token_service"`

	// The settings below say what the registry supports. Those that are not set are found out.

	// Mounts says whether blobs may be mounted from other repositories.
	Mounts *bool `yaml:"mounts"`
	// Chunk is the size of upload chunks in bytes; -1 uploads each blob with one PUT.
	Chunk int64 `yaml:"chunk"`
	// TagsQuery says whether several tags may be written in one request.
	TagsQuery *bool `yaml:"tags_query"`
	// ReferrersAPI says whether the registry lists referrers itself.
	ReferrersAPI *bool `yaml:"referrers_api"`
	// Head says whether HEAD may be used to look up manifests and blobs.
	Head *bool `yaml:"head"`
	// DeniesUnknown says whether the registry answers 403 where it means 404.
	DeniesUnknown *bool `yaml:"denies_unknown"`
}

// minChunk is the smallest chunk of an upload in bytes: each chunk costs a request.
const minChunk = 64 << 10

// TLS names the PEM files of a connection to a registry.
type TLS struct {
	// CA has authorities that are trusted in addition to the system's and those of certs.d.
	CA string `yaml:"ca"`
	// Cert and Key are the client certificate and its key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// SkipVerify accepts any certificate. A warning is logged at the start and with each
	// connection.
	SkipVerify bool `yaml:"skip_verify"`
}

// Options returns the options of each host, by the host's name in the registry client.
// It checks the settings, and reads the files that they name.
func Options(list []Registry) (map[string]registry.HostOptions, error) {
	hosts := map[string]registry.HostOptions{}
	for i, r := range list {
		if r.Host == "" {
			return nil, fmt.Errorf("registries[%d].host: the host is missing", i)
		}
		host, err := pushspec.CanonicalRegistry(r.Host)
		if err != nil {
			return nil, fmt.Errorf("registries[%d].host: %w", i, err)
		}
		if _, twice := hosts[host]; twice {
			return nil, fmt.Errorf("registries[%d].host: %s has two entries; join them", i, r.Host)
		}
		options := registry.HostOptions{
			PlainHTTP: r.PlainHTTP, CA: r.TLS.CA, Cert: r.TLS.Cert, Key: r.TLS.Key, SkipVerify: r.TLS.SkipVerify,
			Headers: r.Headers, TokenService: r.TokenService,
			Settings: registry.Settings{
				Mounts: r.Mounts, Chunk: r.Chunk, TagsQuery: r.TagsQuery, ReferrersAPI: r.ReferrersAPI, Head: r.Head, DeniesUnknown: r.DeniesUnknown,
			},
		}
		if r.Chunk < -1 || r.Chunk > 0 && r.Chunk < minChunk {
			return nil, fmt.Errorf("registries[%d] (%s).chunk: %d must be at least %d bytes, or -1 to upload each blob in one request", i, r.Host, r.Chunk, minChunk)
		}
		if err := options.Check(); err != nil {
			return nil, fmt.Errorf("registries[%d] (%s): %w", i, r.Host, err)
		}
		hosts[host] = options
	}
	return hosts, nil
}

// Load reads a file with a list of registries, and adds hosts that use plain HTTP.
// Without a path it returns only those.
func Load(path string, plainHTTP []string) (map[string]registry.HostOptions, error) {
	hosts := map[string]registry.HostOptions{}
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the registry settings: %w", err)
		}
		var file struct {
			Registries []Registry `yaml:"registries"`
		}
		if err := strictyaml.Decode(data, &file); err != nil {
			return nil, fmt.Errorf("registry settings %s: %w", path, err)
		}
		if hosts, err = Options(file.Registries); err != nil {
			return nil, fmt.Errorf("registry settings %s: %w", path, err)
		}
	}
	for _, text := range plainHTTP {
		host, err := pushspec.CanonicalRegistry(text)
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
