// Package layer writes container image layers: tar archives that come out the
// same to the byte wherever and whenever they are made.
//
// Times are the epoch and owners are root unless said otherwise, entries are in
// the order of their paths, and file modes come from what the caller says, never
// from the file system: Bazel makes every output executable, and remote execution
// every input. Links that Bazel made are followed, and links that the user made
// are kept. A directory that nobody named has no entry.
//
// See docs/decisions/0010-directories-and-links-in-layers.md.
package layer
