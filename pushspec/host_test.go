package pushspec_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/drayage/drayage/pushspec"
)

func TestWhatIsNoHostOfARegistryIsRefusedWithTheReason(t *testing.T) {
	for host, want := range map[string]string{
		"registry":             "has neither a dot nor a port",
		"my-registry":          "has neither a dot nor a port",
		"GHCR.io":              "has upper case letters",
		"https://ghcr.io":      "it has a scheme",
		"ghcr.io/acme":         "has a slash",
		"ghcr.io/":             "has a slash",
		"ann:secret@ghcr.io":   "has an at sign",
		"ghcr.io:":             "has the port",
		"ghcr.io:0":            "has the port",
		"ghcr.io:70000":        "has the port",
		"ghcr.io:http":         "has the port",
		"ghcr..io":             "is not a host name",
		".io":                  "is not a host name",
		"ghcr.io.":             "is not a host name",
		"-ghcr.io":             "is not a host name",
		"{host}.example":       "is not a host name", // no stamp variables here
		"{HOST}":               "has upper case letters",
		"gh cr.io":             "is not a host name",
		"::1":                  "is not a host with a port",
		"[::1":                 "is not a host with a port",
		"[ghcr.io]:5000":       "without an IP address",
		"registry\n.example":   "is not a host name",
		" ghcr.io":             "is not a host name",
		"ghcr.io:5000:5000":    "is not a host with a port",
		"registry.example:080": "has the port",
		"":                     "is not a host name",
	} {
		err := pushspec.CheckRegistry(host)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error is %v, want it to contain %q", host, err, want)
		}
	}
}

// What is no host here would be taken for Docker Hub's repository there.
func TestAHostOfARegistryIsOneToThoseWhoPush(t *testing.T) {
	for _, host := range []string{
		"ghcr.io", "localhost", "localhost:5000", "registry:5000", "127.0.0.1", "10.0.0.1:443", "[::1]:5000", "a.b.c.example",
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com", "index.docker.io", "under_score.example:5000",
	} {
		if err := pushspec.CheckRegistry(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if repository, err := name.NewRepository(host+"/acme/app", name.StrictValidation); err != nil || repository.RegistryStr() != host {
			t.Errorf("%s: those who push read it as %v (%v)", host, repository, err)
		}
	}
}
