package dispatch

import (
	"slices"
	"testing"

	"github.com/drayage/drayage/pushspec"
)

func TestThePolicyIsToldEveryRepositoryThatLayersComeFrom(t *testing.T) {
	from := func(repositories ...string) pushspec.Blob {
		blob := pushspec.Blob{Sources: []pushspec.Source{{CAS: "sha256:ab"}}}
		for _, r := range repositories {
			blob.Sources = append(blob.Sources, pushspec.Source{Repository: r})
		}
		return blob
	}
	spec := &pushspec.Spec{Blobs: []pushspec.Blob{from("docker.io/library/debian", "mirror/debian"), from(), from("ghcr.io/acme/base", "mirror/debian")}}
	want := []string{"docker.io/library/debian", "mirror/debian", "ghcr.io/acme/base"}
	if got := sources(spec); !slices.Equal(got, want) {
		t.Errorf("sources are %q, want %q", got, want)
	}
}
