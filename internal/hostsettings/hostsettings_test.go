package hostsettings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/certpool/certtest"
	"github.com/drayage/drayage/internal/hostsettings"
	"github.com/drayage/drayage/internal/registry"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registries.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileSetsEverythingOfAHost(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "x")
	path := write(t, `
registries:
- host: r.example:5000
  tls: {ca: `+cert+`, cert: `+cert+`, key: `+key+`}
  headers: {X-Team: acme}
  token_service: http://10.0.0.5:5001
- {host: docker.io, tls: {skip_verify: true}, mounts: false, chunk: -1, tags_query: true, referrers_api: false, head: true, denies_unknown: true}
- {host: plain.example, plain_http: true}
`)
	got, err := hostsettings.Load(path, []string{"other.example:5000", "plain.example"})
	if err != nil {
		t.Fatal(err)
	}
	no, yes := false, true
	want := map[string]registry.HostOptions{
		"r.example:5000": {CA: cert, Cert: cert, Key: key, Headers: map[string]string{"X-Team": "acme"}, TokenService: "http://10.0.0.5:5001"},
		"index.docker.io": {SkipVerify: true, Settings: registry.Settings{
			Mounts: &no, Chunk: -1, TagsQuery: &yes, ReferrersAPI: &no, Head: &yes, DeniesUnknown: &yes,
		}},
		"plain.example":      {PlainHTTP: true},
		"other.example:5000": {PlainHTTP: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFileThatIsWrongIsNamedWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"registries:\n- {host: a.example, plain_htpp: true}\n": "line 2: plain_htpp is not a setting",
		"cas: {address: x}\n":                                                         "line 1: cas is not a setting",
		"registries: [{plain_http: true}]":                                            "registries[0].host: the host is missing",
		"registries: [{host: 'https://a.example'}]":                                   `registries[0].host: "https://a.example" must be a host such as ghcr.io, localhost:5000 or registry:5000: it has a scheme`,
		"registries: [{host: a.example}, {host: a.example}]":                          "registries[1].host: a.example has two entries; join them",
		"registries: [{host: docker.io}, {host: index.docker.io}]":                    "registries[1].host: index.docker.io has two entries; join them",
		"registries: [{host: a.example, tls: {cert: x}}]":                             "registries[0] (a.example): cert and key must be set together",
		"registries: [{host: a.example, tls: {ca: /nowhere/ca.pem}}]":                 "registries[0] (a.example): ca: open /nowhere/ca.pem",
		"registries: [{host: a.example, plain_http: true, tls: {skip_verify: true}}]": "registries[0] (a.example): plain_http must not be set together with",
		"registries: [{host: a.example, headers: {Authorization: x}}]":                "registries[0] (a.example): headers: Authorization must not be set",
		"registries: [{host: a.example, token_service: x}]":                           "registries[0] (a.example): token_service:",
	} {
		path := write(t, text)
		if _, err := hostsettings.Load(path, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got error %v, want one that says %q", text, err, want)
		}
	}
	if _, err := hostsettings.Load("/nowhere.yaml", nil); err == nil || !strings.Contains(err.Error(), "/nowhere.yaml") {
		t.Errorf("no file: got error %v", err)
	}
	if _, err := hostsettings.Load("", []string{"http://a.example"}); err == nil || !strings.Contains(err.Error(), "--plain-http") {
		t.Errorf("a flag that is no host: got error %v", err)
	}
	path := write(t, "registries: [{host: a.example, tls: {skip_verify: true}}]")
	if _, err := hostsettings.Load(path, []string{"a.example"}); err == nil || !strings.Contains(err.Error(), "--plain-http a.example") {
		t.Errorf("a flag against the file: got error %v", err)
	}
}
