package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/zeebo/blake3"

	"github.com/drayage/drayage/internal/cas"
)

// localFile is a file that may be a layer. It is hashed when that is in question,
// which takes longer than anything else where nothing has to move.
type localFile struct {
	path string
	size int64

	mu   sync.Mutex
	sums map[cas.Function]string
}

func openLocalFile(path string) (*localFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &localFile{path: path, size: info.Size(), sums: map[cas.Function]string{}}, nil
}

// is tells whether the file is what the remote cache calls so.
func (f *localFile) is(d cas.Digest) (bool, error) {
	if f.size != d.Size {
		return false, nil
	}
	var h hash.Hash
	switch d.Function {
	case cas.SHA256:
		h = sha256.New()
	case cas.BLAKE3:
		h = blake3.New()
	default:
		return false, nil // a digest that no layer of the rules has
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sums[d.Function] == "" {
		file, err := os.Open(f.path)
		if err != nil {
			return false, err
		}
		defer func() { _ = file.Close() }()
		if _, err := io.Copy(h, file); err != nil {
			return false, fmt.Errorf("read %s: %w", f.path, err)
		}
		f.sums[d.Function] = hex.EncodeToString(h.Sum(nil))
	}
	return f.sums[d.Function] == d.Hash, nil
}
