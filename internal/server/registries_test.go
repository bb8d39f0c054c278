package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/registry"
)

func TestWhatIsSaidOfARegistryReachesItsClient(t *testing.T) {
	no, yes := false, true
	got := registrySettings([]Registry{{Host: "a", Mounts: &no, Chunk: 1, TagsQuery: &yes, ReferrersAPI: &no, Head: &no, DeniesUnknown: &yes}, {Host: "b"}})
	want := map[string]registry.Settings{
		"a": {Mounts: &no, Chunk: 1, TagsQuery: &yes, ReferrersAPI: &no, Head: &no, DeniesUnknown: &yes}, "b": {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
