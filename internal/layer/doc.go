// Package layer writes the layers of container images. The same inputs give the
// same bytes, on every machine and at every time.
//
// Unless the caller says otherwise, times are the epoch and owners are root.
// Entries are sorted by path. File modes come from the caller, never from the file
// system: Bazel makes every output executable, and remote execution makes every
// input executable. Links that Bazel made are followed; links that the user made
// are kept. A directory that nobody named has no entry.
//
// See docs/decisions/0010-directories-and-links-in-layers.md.
package layer
