package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/drayage/drayage/internal/cas"
)

// diskCache is the folder of Bazel's --disk_cache. Its files are looked at as any
// others are: they are what they are called, or they are passed over.
type diskCache struct {
	dir string

	mu    sync.Mutex
	files map[cas.Digest]*localFile
}

// openDiskCache takes the folder as a user writes it: Bazel knows ~/ too. One that is
// relative is so to where bazel run was typed. There need not be anything yet.
func openDiskCache(dir string) (*diskCache, error) {
	if below, ok := strings.CutPrefix(dir, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("--disk-cache: %w", err)
		}
		dir = filepath.Join(home, below)
	}
	if dir != "" && !filepath.IsAbs(dir) {
		dir = filepath.Join(os.Getenv("BUILD_WORKING_DIRECTORY"), dir)
	}
	if info, err := os.Stat(dir); dir != "" && err == nil && !info.IsDir() { //nolint:gosec // whoever runs the tool names the folder
		return nil, fmt.Errorf("--disk-cache: %s must be a folder", dir)
	}
	return &diskCache{dir: dir, files: map[cas.Digest]*localFile{}}, nil
}

// path is where Bazel keeps a blob: DiskCacheClient in its sources. Digests that are as
// old as the cache have no folder of their own.
func (c *diskCache) path(d cas.Digest) string {
	root := c.dir
	switch d.Function {
	case cas.MD5, cas.SHA1, cas.SHA256, cas.SHA384, cas.SHA512:
	default:
		root = filepath.Join(root, string(d.Function))
	}
	return filepath.Join(root, "cas", d.Hash[:2], d.Hash)
}

// file is the file that should have the blob, or nil.
func (c *diskCache) file(d cas.Digest) *localFile {
	if c.dir == "" || len(d.Hash) < 2 || !filepath.IsLocal(string(d.Function)) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if file, known := c.files[d]; known {
		return file
	}
	file, err := openLocalFile(c.path(d))
	if err != nil {
		file = nil
	}
	c.files[d] = file
	return file
}
