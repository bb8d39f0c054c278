package server_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/internal/server"
)

// With a policy, a daemon reaches registries of its own network only if the configuration
// names them.
func TestADaemonWithAPolicyReachesOnlyNamedHostsOfItsNetwork(t *testing.T) {
	const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
	registry := registrytest.Start(t, registrytest.Rules{})
	registry.PutManifest("acme/base", "v1", "application/vnd.oci.image.index.v1+json", []byte(manifest))
	policy := &server.Policy{
		Rules:   []server.PolicyRule{{Name: "all", Repositories: []string{"ghcr.io/acme/**"}, Sources: []string{"*/acme/**"}}},
		Operate: []string{"address:127.0.0.1"},
	}
	for _, row := range []struct {
		name   string
		policy *server.Policy
		hosts  []server.Registry
		source string
		want   string
	}{
		{"a policy", policy, nil, registry.Host + "/acme/base:v1", registry.Host + ` is at 127.0.0.1, an address of this machine. If that is intended, add an entry with host: "` + registry.Host + `" to registries`},
		{"another host that is named", policy, []server.Registry{{Host: "127.0.0.1:1"}}, registry.Host + "/acme/base:v1", "is at 127.0.0.1"},
		{"a source that no rule allows", policy, []server.Registry{{Host: registry.Host}}, registry.Host + "/secret/base:v1", "to the rule's sources"},
		{"a host that is named", policy, []server.Registry{{Host: registry.Host}}, registry.Host + "/acme/base:v1", ""},
		{"no policy", nil, nil, registry.Host + "/acme/base:v1", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := config(t)
			c.Policy, c.Registries = row.policy, row.hosts
			client, err := operator.NewClient("http://"+start(t, c).HTTP, operator.Login{})
			check(t, err)
			before := registry.Total()
			_, err = client.Copy(t.Context(), operator.Copy{Source: row.source, Destinations: []string{"ghcr.io/acme/app:v1"}})
			asked := registry.Total() > before
			if row.want == "" && (err != nil || !asked) {
				t.Errorf("error is %v; the registry was asked: %t", err, asked)
			}
			if row.want != "" && (err == nil || asked || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("error is %v; the registry was asked: %t; want %s", err, asked, row.want)
			}
		})
	}
}

func TestAPatternThatCoversEveryRegistryIsWarnedOfAtTheStart(t *testing.T) {
	c := config(t)
	c.Policy = &server.Policy{Rules: []server.PolicyRule{
		{Name: "wide", Repositories: []string{"*/acme/**"}}, {Name: "narrow", Repositories: []string{"ghcr.io/**"}},
	}}
	var log bytes.Buffer
	d, err := server.Start(t.Context(), c, zerolog.New(&log))
	check(t, err)
	check(t, d.Stop())
	if text := log.String(); !strings.Contains(text, `"level":"warn","message":"policy: rule wide: the pattern \"*/acme/**\" of its repositories allows pushes to every registry`) || strings.Contains(text, "rule narrow") {
		t.Errorf("the log is\n%s", text)
	}
}
