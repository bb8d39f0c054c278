package layer

import (
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// File copies a file that becomes a blob unchanged, such as a bill of materials,
// and returns its metadata. It uses no option but DigestFunction. The copy is
// needed because a remote cache keeps what actions write, not the sources that
// they read.
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
