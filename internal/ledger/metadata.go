package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxOwnMetadata is the largest metadata, in bytes of JSON, that a row has in itself. What
// CI systems give is smaller.
const maxOwnMetadata = 1 << 10

// DetachMetadata returns the row as it is kept. Metadata that is too large to be in every
// row of its build is not in that: the row has its digest, and data is what has the digest.
// Else data is nil.
func (e Entry) DetachMetadata() (row Entry, data []byte, err error) {
	e.MetadataDigest = ""
	if len(e.Metadata) == 0 {
		return e, nil, nil
	}
	data, err = json.Marshal(e.Metadata, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return Entry{}, nil, fmt.Errorf("encode metadata of %s: %w", e.Target, err)
	}
	if len(data) <= maxOwnMetadata {
		return e, nil, nil
	}
	e.Metadata, e.MetadataDigest = nil, MetadataDigest(data)
	return e, data, nil
}

// MetadataDigest is the digest that rows name metadata by.
func MetadataDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// DecodeMetadata reads what [Entry.DetachMetadata] returned.
func DecodeMetadata(data []byte) (map[string]string, error) {
	var metadata map[string]string
	if err := json.Unmarshal(data, &metadata); err != nil {
		return nil, fmt.Errorf("decode metadata: %w", err)
	}
	return metadata, nil
}
