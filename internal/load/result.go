package load

import v1 "github.com/google/go-containerregistry/pkg/v1"

// Result is what a load did.
type Result struct {
	// Root is the target of the names now. In an archive of one platform, that is the
	// image's manifest and not the index.
	Root v1.Hash
	// Moved counts the blobs and manifests that were sent, and There those that were
	// there already.
	Moved, There Count
	// Unpacked is the snapshotter that the layers were unpacked for, or "".
	Unpacked string
	// NotUnpacked says why unpacking failed, if it was tried and failed.
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
