package server

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/hostsettings"
	"github.com/drayage/drayage/internal/store"
)

// usable is the smallest configuration that passes the check.
func usable() Config {
	c := Defaults()
	c.CAS.Address = "grpc://127.0.0.1:9092"
	return c
}

func TestDeployedExampleHoldsTheDefaults(t *testing.T) {
	got := Defaults()
	if err := got.LoadFile("../../deploy/drayaged.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Error(err)
	}
	want := usable()
	want.Store = "/var/lib/drayage/drayage.db"
	want.Backends, want.Registries, want.Webhooks = []Backend{}, []Registry{}, []Webhook{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deploy/drayaged.yaml differs from the defaults (-want +got):\n%s", diff)
	}
}

func TestFileSetsEveryKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drayaged.yaml")
	text := `
listen: 0.0.0.0:1
http: 127.0.0.1:2
names: [drayage.example]
tls: {cert: c.pem, key: k.pem, client_ca: ca.pem}
allow_plaintext: true
policy:
  tokens: [{name: ci, secret_file: ci.token}]
  rules: [{name: dev, clients: ["token:ci"], targets: [//...], repositories: [a/b], tags: [c], sources: [d/e], never_overwrite: [v1],
    needs_green: [v2], needs_approval: [v3], read_back: [v4]}]
  read: ["address:10.0.0.0/8"]
  operate: ["token:ops"]
  promote: ["token:lead"]
  promote_withheld: ["token:boss"]
  stream: ["token:*"]
store: postgres://db/drayage
ledger: {key_file: log.key}
stall_limit: 4s
retention: {jobs: 1h, invocations: -1ns, checkpoints: 2h, dead_letters: 3h, staged: 4h}
webhooks: [{name: chat, url: "https://chat", secret_file: s, events: [push, drift]}]
verify: {every: 24h, age: 48h, limit: 9, rate: 0.5, timeout: 3m}
cas: {address: "grpcs://cache", headers: {a: b}, credential_helper: /bin/h, grace: 12s}
cas_registry: {listen: "127.0.0.1:4", folder: /images, instance: main, name: "images.example:4", blob_bytes: 13, client_bytes: 14, client_uploads: 15}
registry_credential_helper: /bin/r
backends:
- {name: bes, address: "grpcs://bes", mode: required, headers: {c: d}, pass_headers: [e], credential_helper: /bin/helper, keepalive: 1m,
   tls: {ca: ca.pem, cert: c.pem, key: k.pem, server_name: n}}
relay: {max_streams: 5, replay_bytes: 6, replay_bytes_total: 7, spool_dir: /spool, spool_bytes: 11, linger: 12s, deliver_timeout: 8s}
limits: {client_streams: 16, client_rows: 17, client_pending: 18, client_spec_bytes: 19, first_event: 20s}
hold: {always: true, limit: 9s, at_limit: pass}
release: {gate: green, green: [SUCCESS, TESTS_FAILED], order_by: BUILD_NUMBER}
registries:
- {host: "r:5000", plain_http: true, tls: {ca: ca.pem, cert: c.pem, key: k.pem, skip_verify: true}, headers: {f: g}, token_service: "http://t:1",
   mounts: false, chunk: 1048576, tags_query: true, referrers_api: false, head: true, denies_unknown: true}
create_repositories: [123456789012.dkr.ecr.eu-central-1.amazonaws.com]
workers: 3
shutdown_grace: 1m30s
log: {level: debug, format: console}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := got.LoadFile(path); err != nil {
		t.Fatal(err)
	}
	eachSetting(reflect.ValueOf(got), "", func(key string, value reflect.Value) {
		if value.IsZero() {
			t.Errorf("the text does not set %s", key)
		}
	})
	no, yes := false, true
	want := Config{
		Listen: "0.0.0.0:1", HTTP: "127.0.0.1:2", Names: []string{"drayage.example"},
		TLS:            TLS{Cert: "c.pem", Key: "k.pem", ClientCA: "ca.pem"},
		AllowPlaintext: true,
		Policy: &Policy{
			Tokens: []PolicyToken{{Name: "ci", SecretFile: "ci.token"}},
			Rules: []PolicyRule{{
				Name: "dev", Clients: []string{"token:ci"}, Targets: []string{"//..."}, Repositories: []string{"a/b"}, Tags: []string{"c"}, Sources: []string{"d/e"}, NeverOverwrite: []string{"v1"},
				NeedsGreen: []string{"v2"}, NeedsApproval: []string{"v3"}, ReadBack: []string{"v4"},
			}},
			Stream: []string{"token:*"}, Read: []string{"address:10.0.0.0/8"}, Operate: []string{"token:ops"}, Promote: []string{"token:lead"}, PromoteWithheld: []string{"token:boss"},
		},
		Store:                    "postgres://db/drayage",
		Ledger:                   Ledger{KeyFile: "log.key"},
		StallLimit:               4 * time.Second,
		Retention:                store.Retention{Jobs: time.Hour, Invocations: -1, Checkpoints: 2 * time.Hour, DeadLetters: 3 * time.Hour, Staged: 4 * time.Hour},
		Webhooks:                 []Webhook{{Name: "chat", URL: "https://chat", SecretFile: "s", Events: []store.EventKind{store.EventPush, store.EventDrift}}},
		Verify:                   Verify{Every: 24 * time.Hour, Age: 48 * time.Hour, Limit: 9, Rate: 0.5, Timeout: 3 * time.Minute},
		CAS:                      CAS{Address: "grpcs://cache", Headers: map[string]string{"a": "b"}, CredentialHelper: "/bin/h", Grace: 12 * time.Second},
		CASRegistry:              CASRegistry{Listen: "127.0.0.1:4", Folder: "/images", Instance: "main", Name: "images.example:4", BlobBytes: 13, ClientBytes: 14, ClientUploads: 15},
		RegistryCredentialHelper: "/bin/r",
		CreateRepositories:       []string{"123456789012.dkr.ecr.eu-central-1.amazonaws.com"},
		Backends: []Backend{{
			Name: "bes", Address: "grpcs://bes", Mode: modeRequired, Headers: map[string]string{"c": "d"},
			PassHeaders: []string{"e"}, CredentialHelper: "/bin/helper", Keepalive: time.Minute,
			TLS: BackendTLS{CA: "ca.pem", Cert: "c.pem", Key: "k.pem", ServerName: "n"},
		}},
		Relay: Relay{MaxStreams: 5, ReplayBytes: 6, ReplayBytesTotal: 7, SpoolDir: "/spool", SpoolBytes: 11, Linger: 12 * time.Second, DeliverTimeout: 8 * time.Second},
		Limits: Limits{
			ClientStreams: 16, Limits: store.Limits{Rows: 17, Pending: 18, SpecBytes: 19}, FirstEvent: 20 * time.Second,
		},
		Hold: Hold{Always: true, Limit: 9 * time.Second, AtLimit: holdPass},

		Release: Release{Gate: "green", Green: []string{"SUCCESS", "TESTS_FAILED"}, OrderBy: "BUILD_NUMBER"},
		Registries: []Registry{{
			Host: "r:5000", PlainHTTP: true, TLS: hostsettings.TLS{CA: "ca.pem", Cert: "c.pem", Key: "k.pem", SkipVerify: true},
			Headers: map[string]string{"f": "g"}, TokenService: "http://t:1",
			Mounts: &no, Chunk: 1 << 20, TagsQuery: &yes, ReferrersAPI: &no, Head: &yes, DeniesUnknown: &yes,
		}},
		Workers: 3, ShutdownGrace: 90 * time.Second,
		Log: Log{Level: "debug", Format: "console"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFileErrorsNameTheLine(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"an unknown key", "listen: a:1\nlisten_on: b:2\n", "line 2: listen_on is not a setting"},
		{"an unknown nested key", "cas:\n  adress: x\n", "line 2: adress is not a setting"}, //nolint:misspell // that is the point
		{"a wrong type", "workers: many\n", "line 1: `many` does not fit int"},
		{"a wrong duration", "shutdown_grace: soon\n", "line 1: `soon` does not fit time.Duration"},
		{"a key twice", "http: a\nhttp: b\n", "line 2"},
		{"two documents", "http: a\n---\nhttp: b\n", "it must be one YAML document"},
		{"no YAML", "listen: [", "line 1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var c Config
			err := c.decode([]byte(row.text))
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want it to contain %q", err, row.want)
			}
		})
	}
}

func TestCheckNamesTheKey(t *testing.T) {
	for _, row := range []struct {
		want   string
		change func(*Config)
	}{
		{"listen: \"9090\" must be HOST:PORT", func(c *Config) { c.Listen = "9090" }},
		{"listen: 0.0.0.0:9090 is not a loopback address", func(c *Config) { c.Listen = "0.0.0.0:9090" }},
		{"http: :9091 is not a loopback address", func(c *Config) { c.HTTP = ":9091" }},
		{"policy.rules[0].tags: \"[\" is not", func(c *Config) { c.Policy = &Policy{Rules: []PolicyRule{{Name: "r", Tags: []string{"["}}}} }},
		{"policy.tokens[0]: name and secret_file", func(c *Config) { c.Policy = &Policy{Tokens: []PolicyToken{{Name: "ci"}}} }},
		{"policy.read: \"ci\" must begin with", func(c *Config) { c.Policy = &Policy{Read: []string{"ci"}} }},
		{"backends[0].pass_headers: x-drayage-token", func(c *Config) {
			c.Backends = []Backend{{Address: "grpc://x", PassHeaders: []string{"X-Drayage-Token"}}}
		}},
		{"tls: cert and key must be set together", func(c *Config) { c.TLS.Cert = "c.pem" }},
		{"tls: client_ca also needs cert", func(c *Config) { c.TLS.ClientCA = "ca.pem" }},
		{"cas.address: must be set", func(c *Config) { c.CAS.Address = "" }},
		{"cas.grace: -1s must not be negative", func(c *Config) { c.CAS.Grace = -time.Second }},
		{`names[0]: "drayage.example:443" must be a host name or an address, without a port`, func(c *Config) { c.Names = []string{"drayage.example:443"} }},
		{"cas_registry.listen: 0.0.0.0:5000 is not a loopback address, so anyone who reaches it could push images", func(c *Config) {
			c.CASRegistry.Listen, c.AllowPlaintext = "0.0.0.0:5000", true
		}},
		{"cas_registry.name: must be set, to HOST:PORT", func(c *Config) {
			c.CASRegistry.Listen, c.AllowPlaintext, c.Policy = "0.0.0.0:5000", true, &Policy{}
		}},
		{`cas_registry.name: "images.example/app" must be HOST or HOST:PORT`, func(c *Config) {
			c.CASRegistry.Listen, c.CASRegistry.Name = "127.0.0.1:5000", "images.example/app"
		}},
		{"cas_registry.folder: must be set", func(c *Config) { c.CASRegistry.Listen, c.CASRegistry.Folder = "127.0.0.1:5000", "" }},
		{"cas_registry: blob_bytes, client_bytes and client_uploads must be", func(c *Config) { c.CASRegistry.Listen, c.CASRegistry.BlobBytes = "127.0.0.1:5000", 0 }},
		{"store: must be set", func(c *Config) { c.Store = "" }},
		{"stall_limit: 1s must be at least 3s", func(c *Config) { c.StallLimit = time.Second }},
		{"retention: jobs, invocations", func(c *Config) { c.Retention.Jobs = 0 }},
		{"retention: jobs, invocations", func(c *Config) { c.Retention.Staged = 0 }},
		{"workers: 0 must be at least 1", func(c *Config) { c.Workers = 0 }},
		{"shutdown_grace: -1s must not be negative", func(c *Config) { c.ShutdownGrace = -time.Second }},
		{"backends[0].address: must be set", func(c *Config) { c.Backends = []Backend{{}} }},
		{"backends[0].mode: \"maybe\" must be", func(c *Config) { c.Backends = []Backend{{Address: "grpc://x", Mode: "maybe"}} }},
		{"relay: max_streams", func(c *Config) { c.Relay.MaxStreams = 0 }},
		{"limits: client_streams", func(c *Config) { c.Limits.Pending = 0 }},
		{"hold.limit: 0s must be", func(c *Config) { c.Hold.Limit = 0 }},
		{`hold.at_limit: "wait" must be`, func(c *Config) { c.Hold.AtLimit = "wait" }},
		{`release.gate: "tested" must be pushed, green or approved`, func(c *Config) { c.Release.Gate = "tested" }},
		{"release.green: must name at least one exit code", func(c *Config) { c.Release.Green = nil }},
		{"release.green: must name at least one exit code", func(c *Config) { c.Release.Green = []string{""} }},
		{`release.order_by: "{BUILD_NUMBER}" must be a key`, func(c *Config) { c.Release.OrderBy = "{BUILD_NUMBER}" }},
		{`policy.rules[0].needs_green: "[" is not`, func(c *Config) {
			c.Policy = &Policy{Rules: []PolicyRule{{Name: "r", NeedsGreen: []string{"["}}}}
		}},
		{`policy.promote: "ci" must begin with`, func(c *Config) { c.Policy = &Policy{Promote: []string{"ci"}} }},
		{"webhooks[0]: name, url", func(c *Config) { c.Webhooks = []Webhook{{Name: "chat"}} }},
		{`webhooks[0].events: "pushes" must be push, invocation or drift`, func(c *Config) {
			c.Webhooks = []Webhook{{Name: "chat", URL: "https://chat", SecretFile: "s", Events: []store.EventKind{"pushes"}}}
		}},
		{"verify: every and age must not be", func(c *Config) { c.Verify.Every = -1 }},
		{"verify: limit, rate and timeout must be", func(c *Config) { c.Verify.Limit = 0 }},
		{"registries[0].host: the host is missing", func(c *Config) { c.Registries = []Registry{{}} }},
		{"registries[0] (r.example).chunk: 5 must be at least 65536", func(c *Config) { c.Registries = []Registry{{Host: "r.example", Chunk: 5}} }},
		{"registries[0] (r.example).chunk: -2 must be", func(c *Config) { c.Registries = []Registry{{Host: "r.example", Chunk: -2}} }},
		{"registries[0] (r.example): ca: open", func(c *Config) {
			c.Registries = []Registry{{Host: "r.example", TLS: hostsettings.TLS{CA: "/nowhere/ca.pem"}}}
		}},
		{"create_repositories[0]: \"ghcr.io\" must be a private registry of Amazon", func(c *Config) { c.CreateRepositories = []string{"ghcr.io"} }},
		{"log.level: \"loud\"", func(c *Config) { c.Log.Level = "loud" }},
		{"log.format: \"xml\"", func(c *Config) { c.Log.Format = "xml" }},
	} {
		t.Run(row.want, func(t *testing.T) {
			c := usable()
			row.change(&c)
			err := c.Check()
			if err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("error is %v, want it to begin %q", err, row.want)
			}
		})
	}
}

func TestListeningBeyondLoopbackIsAllowedWhenSecuredOrTold(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.TLS = TLS{Cert: "c.pem", Key: "k.pem"} },
		func(c *Config) { c.AllowPlaintext = true },
	} {
		c := usable()
		c.Listen = "0.0.0.0:9090"
		change(&c)
		if err := c.Check(); err == nil || !strings.HasSuffix(err.Error(), "set policy, which says who may push what") {
			t.Errorf("without a policy: %v", err)
		}
		c.Policy = &Policy{}
		if err := c.Check(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("listen: 127.0.0.1:1\ncas: {address: grpc://x}\n"))
	f.Add([]byte("backends:\n- {name: a, mode: required}\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := Defaults()
		if err := c.decode(data); err == nil {
			_ = c.Check() // must not panic either
		}
	})
}
