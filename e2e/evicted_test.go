package e2e_test

import (
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/pushspec"
)

// The builds before the one that is seen by the daemon fill the cache. Bazel
// believes that the cache still has what it has had, and says so in its events.

func TestALayerThatTheCacheHasEvictedIsNamed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.workspace.Bazel(t, "build", append(s.flags(), "//...", "--remote_download_outputs=toplevel")...)
	spec, err := pushspec.Decode([]byte(s.workspace.Read(t, "bazel-bin/push_staging.pushspec.json")))
	check(t, err)
	layer := spec.Blobs[len(spec.Blobs)-1]
	s.cache.Evict(t, layer.Digest.Hex)

	rows := s.push(t, "//...")

	wantPushed(t, rows, "//:push_prod")
	wantEvicted(t, rows, "//:push_staging", layer.Digest.String(), "acme/server-staging", "of //:staging_config", "uild again with --")
}

func TestAnEmptiedCacheFailsTheirPushesAndNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.workspace.Bazel(t, "build", append(s.flags(), "//...")...)
	s.cache.EvictAll(t)

	rows := s.push(t, "//...")
	wantEvicted(t, rows, "//:push_prod", "read the push spec", "uild again with --")
	wantEvicted(t, rows, "//:push_staging", "read the push spec", "uild again with --")

	// What is built anew is in the cache again.
	s.workspace.Bazel(t, "clean")
	rows = s.push(t, "//...")
	wantPushed(t, rows, "//:push_prod")
	wantPushed(t, rows, "//:push_staging")
}

func wantEvicted(t *testing.T, rows map[string]ledger.Entry, target string, words ...string) {
	t.Helper()
	row, ok := rows[target]
	if !ok {
		t.Fatalf("the ledger has no row of %s: %s", target, outcomes(rows))
	}
	if row.Outcome != ledger.Failed || row.ErrorClass != "evicted" {
		t.Errorf("%s: %s, %s: %s", target, row.Outcome, row.ErrorClass, row.Error)
	}
	for _, word := range append(words, target) {
		if !strings.Contains(row.Error, word) {
			t.Errorf("%s: the error does not say %q: %s", target, word, row.Error)
		}
	}
}
