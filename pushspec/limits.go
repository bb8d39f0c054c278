package pushspec

// Bounds on a push spec. Each is far above what a real image needs and far
// below what could hurt the reader of a hostile one.
const (
	// MaxSize bounds the document, in bytes.
	MaxSize = 32 << 20

	// MaxDataSize bounds one embedded manifest, index or config, in bytes. It is
	// the manifest size that registries have to take, by the OCI distribution
	// spec ("Pushing Manifests").
	MaxDataSize = 4 << 20

	// MaxManifests bounds the manifests and indexes of one spec.
	MaxManifests = 1024

	// MaxBlobs bounds the configs and layers of one spec.
	MaxBlobs = 4096

	// MaxSources bounds the places that one blob can come from.
	MaxSources = 16

	// MaxTags bounds the tags of one spec.
	MaxTags = 128

	// maxText bounds every label, repository and tag template, in bytes.
	maxText = 1024
)
