package cas

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/zeebo/blake3"
)

// newHash returns the hash of a digest function.
func newHash(f Function) (hash.Hash, error) {
	switch f {
	case SHA256:
		return sha256.New(), nil
	case SHA384:
		return sha512.New384(), nil
	case SHA512:
		return sha512.New(), nil
	case SHA1:
		return sha1.New(), nil
	case MD5:
		return md5.New(), nil
	case BLAKE3:
		return blake3.New(), nil
	}
	return nil, fmt.Errorf("verify blob: the digest function %q is unknown; use sha256 or blake3 (--digest_function)", f)
}

func verify(want Digest, data []byte) error {
	h, err := newHash(want.Function)
	if err != nil {
		return err
	}
	h.Write(data)
	return checkSum(want, h, int64(len(data)))
}

func checkSum(want Digest, h hash.Hash, size int64) error {
	if size != want.Size {
		return &MismatchError{Digest: want, got: fmt.Sprintf("%d bytes", size)}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.Hash {
		return &MismatchError{Digest: want, got: string(want.Function) + ":" + got}
	}
	return nil
}

// verifyingReader ends with io.EOF only if all bytes match the digest.
type verifyingReader struct {
	io.ReadCloser
	want Digest
	hash hash.Hash
	read int64
}

func (v *verifyingReader) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.hash.Write(p[:n])
	v.read += int64(n)
	if errors.Is(err, io.EOF) {
		if bad := checkSum(v.want, v.hash, v.read); bad != nil {
			return 0, bad
		}
	}
	return n, err
}
