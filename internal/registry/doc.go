// Package registry writes images to OCI registries, in as few requests as the
// distribution spec allows.
//
// A [Client] holds what is known of each registry: how it wants to be
// authenticated to, the tokens that it gave, and how fast it can be written to.
// A [Repository] is a view of one repository for one caller.
package registry
