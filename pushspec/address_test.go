package pushspec_test

import (
	"testing"

	"github.com/drayage/drayage/pushspec"
)

func TestAnAddressHasOneName(t *testing.T) {
	for _, row := range []struct{ registry, repository, want string }{
		{"ghcr.io", "acme/app", "ghcr.io/acme/app"},
		{"GHCR.io", "acme/app", "ghcr.io/acme/app"},
		{"docker.io", "acme/app", "index.docker.io/acme/app"},
		{"index.docker.io", "acme/app", "index.docker.io/acme/app"},
		{"docker.io", "ubuntu", "index.docker.io/library/ubuntu"},
		{"localhost:5000", "app", "localhost:5000/app"},
		{"not a host", "{TEAM}/app", "not a host/{TEAM}/app"},
	} {
		registry, repository := pushspec.Destination{Registry: row.registry, Repository: row.repository}.Address()
		if got := registry + "/" + repository; got != row.want {
			t.Errorf("%s, %s: the address is %s, want %s", row.registry, row.repository, got, row.want)
		}
	}
}
