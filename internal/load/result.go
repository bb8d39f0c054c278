package load

import v1 "github.com/google/go-containerregistry/pkg/v1"

// Result is what a load did.
type Result struct {
	// Root is what the names point to now. An archive holds one platform's image
	// without the index around it.
	Root v1.Hash
	// Moved and There count the blobs and manifests that were sent, and those that
	// were there.
	Moved, There Count
	// Unpacked is the snapshotter for which the layers were unpacked, or "".
	Unpacked string
	// NotUnpacked says why they were not, where that was tried.
	NotUnpacked string
}

// Count counts blobs.
type Count struct {
	Blobs int
	// Bytes is their size.
	Bytes int64
}

func (c *Count) add(bytes int64) {
	c.Blobs++
	c.Bytes += bytes
}
