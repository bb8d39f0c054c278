package layer

import "github.com/google/go-containerregistry/pkg/v1/types"

// MediaType is what a layer with the compression is called in a manifest.
func (c Compression) MediaType() types.MediaType { return c.mediaType() }
