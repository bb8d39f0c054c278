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

	// maxText bounds every label, repository and tag template, in bytes.
	maxText = 1024
)
