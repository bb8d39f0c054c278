package pushspec

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Distributable tells whether a layer of this media type goes along with its image.
// Others (layers of Windows, as a rule) stay where their descriptors' urls say: OCI
// image spec, "Non-Distributable Layers". The type alone decides, as in containerd and
// BuildKit: urls of a layer of any other type are one more place that has it, and mean
// nothing here.
func Distributable(layer types.MediaType) bool {
	return !strings.HasPrefix(string(layer), "application/vnd.oci.image.layer.nondistributable.") &&
		!strings.HasPrefix(string(layer), "application/vnd.docker.image.rootfs.foreign.")
}
