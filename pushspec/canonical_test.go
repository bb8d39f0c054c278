package pushspec_test

import (
	"testing"

	"github.com/drayage/drayage/pushspec"
)

func TestAHostOfARegistryHasOneName(t *testing.T) {
	for want, names := range map[string][]string{
		"ghcr.io":         {"ghcr.io", "GHCR.io", "ghcr.io.", "ghcr.io:443", "Ghcr.IO.:443"},
		"ghcr.io:80":      {"ghcr.io:80"}, // not where HTTPS is
		"index.docker.io": {"docker.io", "index.docker.io", "registry-1.docker.io", "Docker.io", "docker.io.:443"},
		"docker.io:5000":  {"docker.io:5000"},
		"registry:443":    {"registry:443", "Registry:443"}, // without a port it would be a part of a repository's name
		"localhost":       {"localhost", "localhost:80", "LOCALHOST.:80"},
		"localhost:443":   {"localhost:443"},
		"127.0.0.1:5000":  {"127.0.0.1:5000", "[::ffff:127.0.0.1]:5000", "[::FFFF:7f00:1]:5000", "127.0.0.1.:5000"},
		"[::1]":           {"[::1]", "[0:0:0:0:0:0:0:1]", "[::1]:80"},
		"[2001:db8::1]":   {"[2001:DB8::1]:443", "[2001:db8:0::1]"},

		"xn--bcher-kva.example":      {"bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--bcher-kva.example", "bücher。example"},
		"xn--bcher-kva.example:5000": {"bücher.example.:5000"},
		"under_score.example":        {"under_score.example"},
	} {
		for _, name := range names {
			if got, err := pushspec.CanonicalRegistry(name); err != nil || got != want {
				t.Errorf("%s is %q (%v), want %s", name, got, err, want)
			}
		}
		if again, err := pushspec.CanonicalRegistry(want); err != nil || again != want {
			t.Errorf("once more, %s is %q (%v)", want, again, err)
		}
	}
	for _, name := range []string{
		"", ".", "registry", "2130706433:5000", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.01", "１２７.1", "[fe80::1%25eth0]", "[fe80::1%eth0]:5000", "::1",
		"https://ghcr.io", "ghcr.io/acme", "ann@ghcr.io", "ghcr.io..", "ghcr.io:", "ghcr.io:0443", "bü cher.example", "a\u200bb.example.\u2028",
	} {
		if got, err := pushspec.CanonicalRegistry(name); err == nil {
			t.Errorf("%q is %q", name, got)
		}
	}
}

func TestARepositoryHasOneName(t *testing.T) {
	for text, want := range map[string]string{
		"GHCR.io.:443/acme/app":          "ghcr.io acme/app",
		"registry-1.docker.io/acme/app":  "index.docker.io acme/app",
		"docker.io/library/debian":       "index.docker.io library/debian",
		"[::ffff:127.0.0.1]:5000/a":      "127.0.0.1:5000 a",
		"ghcr.io":                        "",
		"mirror/debian":                  "",
		"docker.io/debian":               "",
		"ghcr.io/Acme/app":               "",
		"ghcr.io/../app":                 "",
		"ghcr.io/acme/../secret/app":     "",
		"registry-1.docker.io/debian":    "",
		"2130706433:5000/acme/app":       "",
		"ghcr.io/acme/app@sha256:abcdef": "",
	} {
		registry, repository, err := pushspec.CanonicalRepository(text)
		if got := registry + " " + repository; want != "" && (err != nil || got != want) || want == "" && err == nil {
			t.Errorf("%s is %q (%v), want %q", text, got, err, want)
		}
	}
}
