// Package bazel has the flags of Bazel that messages recommend. docs/cache.md explains
// them, and its tests try them.
package bazel

const (
	// Upload makes Bazel upload the layers on its machine that the remote cache lacks.
	Upload = "--remote_build_event_upload=all --output_groups=+blobs"

	// Again makes Bazel build layers, manifests and push specs again, whatever its caches
	// have, and upload them.
	Again = Upload + " '--modify_execution_info=Image.*=+no-cache,PushSpec=+no-cache'"
)
