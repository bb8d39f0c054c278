//go:build unix

package credentials

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestBazelsHelperGivesARegistryItsAuthorization(t *testing.T) {
	registry, err := name.NewRegistry("ghcr.io")
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]authn.AuthConfig{
		`{"headers":{"authorization":["Bearer x"]}}`:   {RegistryToken: "x"},
		`{"headers":{"Authorization":["Basic YTpi"]}}`: {Auth: "YTpi", Username: "a", Password: "b"},
		`{"headers":{}}`: {},
	} {
		path := filepath.Join(t.TempDir(), "helper")
		script := "#!/bin/sh\nread -r question\n[ \"$1 $question\" = 'get {\"uri\":\"https://ghcr.io/v2/\"}' ] || exit 3\necho '" + answer + "'\n"
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		found, err := NewBazelHelper(path).Find(t.Context(), registry)
		if err != nil {
			t.Fatal(err)
		}
		if found.AuthConfig != want {
			t.Errorf("%s: got %+v, want %+v", answer, found.AuthConfig, want)
		}
		if looked := strings.Join(found.Looked, "; "); looked != "credential helper "+path+" (none for ghcr.io)" {
			t.Errorf("%s: looked in %s", answer, looked)
		}
	}
}
