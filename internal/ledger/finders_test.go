package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestARowIsFoundByEachDigestAndTagOnce(t *testing.T) {
	e := Entry{
		Digest:    "sha256:index",
		Manifests: []Manifest{{Digest: "sha256:index"}, {Digest: "sha256:amd64"}, {}},
		Tags:      []Tag{{Name: "latest"}, {Name: "v1"}, {Name: "latest"}},
	}
	if diff := cmp.Diff([]string{"sha256:index", "sha256:amd64"}, e.Digests()); diff != "" {
		t.Errorf("digests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"latest", "v1"}, e.TagNames()); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if denied := (Entry{}); denied.Digests() != nil || denied.TagNames() != nil {
		t.Error("a row without an image is found by one")
	}
}
