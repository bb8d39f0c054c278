// Package bazel has the flags of Bazel's that messages advise. docs/cache.md explains
// them, and its tests try them.
package bazel

const (
	// Upload has Bazel upload layers that it has on its machine and that the remote
	// cache lacks.
	Upload = "--remote_build_event_upload=all --output_groups=+blobs"

	// Again has it make layers, manifests and push specs again, whatever it and its
	// caches believe, and upload them.
	Again = Upload + " '--modify_execution_info=Image.*=+no-cache,PushSpec=+no-cache'"
)
