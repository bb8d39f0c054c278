package layer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/zeebo/blake3"
)

// blobWriter measures and hashes the blob on its way.
type blobWriter struct {
	w      io.Writer
	size   int64
	digest hash.Hash
	// cas is the hash under the build's digest function where that is not SHA-256.
	cas hash.Hash
}

func newBlobWriter(w io.Writer, function string) (*blobWriter, error) {
	b := &blobWriter{w: w, digest: sha256.New()}
	switch function {
	case "", "sha256":
	case "blake3":
		b.cas = blake3.New()
	default:
		return nil, fmt.Errorf("digest function %q must be sha256 or blake3", function)
	}
	return b, nil
}

func (b *blobWriter) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	b.size += int64(n)
	b.digest.Write(p[:n])
	if b.cas != nil {
		b.cas.Write(p[:n])
	}
	return n, err
}

// casDigest is the blob's digest in the build's cache, as a push spec has it.
func (b *blobWriter) casDigest() string {
	if b.cas != nil {
		return "blake3:" + hex.EncodeToString(b.cas.Sum(nil))
	}
	return sha256Hash(b.digest).String()
}

func sha256Hash(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
