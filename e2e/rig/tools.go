package rig

import (
	"os"
	"path/filepath"
	"sync"
)

// Root is the folder of the checkout: the nearest one above the working
// directory with the module's go.mod.
func Root(t T) string {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatalf("find the checkout: %v", err)
	}
	return root
}

var findRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "e2e", "tools", "debian.txt")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", &os.PathError{Op: "find e2e/tools above", Path: dir, Err: os.ErrNotExist}
		}
	}
})

// Tool is the path of a program in the cache folder.
func Tool(t T, name string) string {
	t.Helper()
	path := filepath.Join(Root(t), ".cache", "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no %s in the cache folder: run `make tools` first (%v)", name, err)
	}
	return path
}
