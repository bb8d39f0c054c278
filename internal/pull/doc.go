// Package pull reads the metadata of a base image from its registry: manifests,
// configs, and a few hundred bytes about each layer. The layers stay in the
// registry, unless the caller asks for them.
package pull
