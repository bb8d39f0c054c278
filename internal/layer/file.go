package layer

import (
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// File copies a file that is a blob as it is, such as a bill of materials, and
// returns what is to be known of it. Of the options only DigestFunction counts.
// The copy is what the build's cache is sure to have: it keeps what actions
// write, and not the sources that they read.
func File(w io.Writer, file io.Reader, mediaType string, options Options) (Metadata, error) {
	blob, err := newBlobWriter(w, options.DigestFunction)
	if err != nil {
		return Metadata{}, err
	}
	if _, err := io.Copy(blob, file); err != nil {
		return Metadata{}, fmt.Errorf("copy file: %w", err)
	}
	digest := sha256Hash(blob.digest)
	return Metadata{
		Blob: pushspec.Blob{
			Descriptor: v1.Descriptor{MediaType: types.MediaType(mediaType), Digest: digest, Size: blob.size},
			Sources:    []pushspec.Source{{CAS: blob.casDigest()}},
		},
		DiffID: digest,
	}, nil
}
