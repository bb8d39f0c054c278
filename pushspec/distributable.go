package pushspec

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Distributable tells whether a layer of this media type is pushed with its image.
// Other layers (of Windows, mostly) stay at the URLs in their descriptors: OCI image
// spec, "Non-Distributable Layers". Only the media type decides, as in containerd and
// BuildKit: the URLs of a layer of another type are ignored here.
func Distributable(layer types.MediaType) bool {
	return !strings.HasPrefix(string(layer), "application/vnd.oci.image.layer.nondistributable.") &&
		!strings.HasPrefix(string(layer), "application/vnd.docker.image.rootfs.foreign.")
}
