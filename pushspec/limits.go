package pushspec

// Limits of a push spec. Each is far above the needs of a real image, and far below
// what could harm a reader of a hostile spec.
const (
	// MaxSize bounds the document, in bytes.
	MaxSize = 32 << 20

	// MaxDataSize bounds one embedded manifest, index or config, in bytes. It is the
	// manifest size that registries must accept, by the OCI distribution spec
	// ("Pushing Manifests").
	MaxDataSize = 4 << 20

	// MaxManifests bounds the manifests and indexes of one spec.
	MaxManifests = 1024

	// MaxBlobs bounds the configs and layers of one spec.
	MaxBlobs = 4096

	// MaxSources bounds the sources of one blob.
	MaxSources = 16

	// MaxTags bounds the tags of one spec.
	MaxTags = 128

	// maxAnnotations bounds the annotations of one descriptor, and its URLs.
	maxAnnotations = 128

	// maxText bounds every label, repository and tag template, in bytes.
	maxText = 1024

	// maxWritten bounds every other text, as it is written in the document, in bytes.
	maxWritten = 64 << 10
)

// DecodeMemory bounds what [Decode] allocates for a document of size bytes, in bytes.
func DecodeMemory(size int64) int64 {
	const (
		factor = 2        // the spec itself, and then one manifest of it at a time
		counts = 12 << 20 // as much of everything as there may be, and nothing in it
	)
	return factor*size + counts
}
