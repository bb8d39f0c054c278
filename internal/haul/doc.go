// Package haul carries one image from where its blobs are, the CAS of a build
// first of all, to a registry.
//
// A haul asks first what is there already. It then copies the blobs that are
// missing, writes the manifests from the leaves to the root, and the tags last:
// whoever pulls by tag sees the image whole or not at all. Hauls that run at the
// same time share what they have in common: a blob is uploaded once to a
// registry, and mounted into its other repositories.
//
// See docs/decisions/0014-layers-stay-in-the-cache.md and
// docs/decisions/0015-shortcuts-grant-nothing.md.
package haul
