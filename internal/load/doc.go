// Package load loads the image of a push spec into a container runtime.
//
// [Containerd] costs least: it asks containerd for each blob, and streams only the
// missing ones, from the sources in the spec. [Program] is for docker and podman,
// which cannot be asked: it streams the whole image to them as an archive. Neither
// keeps a layer in memory or on disk.
package load
