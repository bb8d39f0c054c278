// Package haul carries one image from where its blobs are, the CAS of a build
// first of all, to a registry.
//
// A haul asks first what is there already. It then copies the blobs that are
// missing, writes the manifests from the leaves to the root, and the tags last:
// whoever pulls by tag sees the image whole or not at all. Hauls that run at the
// same time share what they have in common: a blob is uploaded once to a
// registry, and mounted into its other repositories.
package haul
