// Package load brings the image of a push spec to where containers are run from.
//
// [Containerd] is the way that costs least: containerd is asked for each blob
// whether it has it, and what it lacks is streamed to it from where the spec says
// that the bytes are. [Program] is for docker and podman where their stores cannot
// be asked: they are given the whole image as an archive, written while it is read.
// Neither keeps a layer in memory or on disk.
package load
