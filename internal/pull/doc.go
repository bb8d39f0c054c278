// Package pull reads the metadata of a base image out of its registry: manifests,
// configs, and a few hundred bytes about each layer. The layers themselves stay
// where they are, unless they are asked for.
package pull
