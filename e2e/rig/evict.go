package rig

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Evict makes the cache forget blobs, by their hex digests, of which it must
// have each. It is restarted on its address.
func (b *BazelRemote) Evict(t T, hashes ...string) {
	t.Helper()
	b.Stop(t)
	for _, hash := range hashes {
		if removeBlobs(t, b.Dir, hash) == 0 {
			t.Fatalf("evict %s: the cache does not have it", hash)
		}
	}
	b.run(t)
}

// EvictAll makes the cache forget everything.
func (b *BazelRemote) EvictAll(t T) {
	t.Helper()
	b.Stop(t)
	if err := os.RemoveAll(b.Dir); err != nil {
		t.Fatalf("empty the cache: %v", err)
	}
	b.run(t)
}

// removeBlobs removes the content-addressed files of a hash and counts them: the
// cache names a file cas.v2/ab/abcd…-SIZE-NUMBER.
func removeBlobs(t T, dir, hash string) int {
	t.Helper()
	removed := 0
	err := filepath.WalkDir(filepath.Join(dir, "cas.v2"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasPrefix(entry.Name(), hash) {
			return err
		}
		removed++
		return os.Remove(path)
	})
	if err != nil {
		t.Fatalf("evict %s: %v", hash, err)
	}
	return removed
}
