package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// sameDigest compares what the registry calls a manifest or a blob with what it is.
// A registry that tells nothing, or nothing that can be read or compared, is believed.
func (r *Repository) sameDigest(op string, a *answer, want v1.Hash) error {
	for _, value := range a.header.Values("Docker-Content-Digest") {
		if got := hashOf(value); differs(got, want) {
			return r.otherDigest(op, a.status, want, got)
		}
	}
	return nil
}

// createdSame is sameDigest for what was written: its address too may have a digest in
// it (distribution spec, "Pushing Manifests").
func (r *Repository) createdSame(op string, a *answer, want v1.Hash) error {
	if err := r.sameDigest(op, a, want); err != nil {
		return err
	}
	if location, err := url.Parse(a.header.Get("Location")); err == nil {
		if got := hashOf(path.Base(location.Path)); differs(got, want) {
			return r.otherDigest(op, a.status, want, got)
		}
	}
	return nil
}

// differs tells whether two digests are of different bytes: those of two algorithms
// may be of the same.
func differs(got, want v1.Hash) bool {
	return want != (v1.Hash{}) && got.Algorithm == want.Algorithm && got != want
}

// otherDigest is a failure for good: what was written is not what was sent.
func (r *Repository) otherDigest(op string, status int, want, got v1.Hash) error {
	return &Error{Op: op, registry: r.Registry(), Status: status,
		message: fmt.Sprintf("it has %s and not %s: something in between changes what is sent, or the registry stores it in another form", got, want)}
}

// hashOf is the digest in a header, or the zero hash.
func hashOf(header string) v1.Hash {
	h, err := v1.NewHash(header)
	if err != nil {
		return v1.Hash{}
	}
	return h
}

func hashOfBytes(data []byte) v1.Hash {
	sum := sha256.Sum256(data)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// MismatchError says that the bytes of a blob are not those that its digest
// names. The upload was not finished.
type MismatchError struct {
	Want v1.Hash
	// got is the digest of the bytes, or says how many there were.
	got string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("the bytes of %s are wrong: got %s", e.Want, e.got)
}
