// Package registry writes images to OCI registries, in as few requests as the
// distribution spec allows.
//
// A [Client] holds what is known of each registry: how it wants to be
// authenticated to, the tokens that it gave, and how fast it can be written to.
// A [Repository] is a view of one repository for one caller.
//
// Every request goes through the same steps, from retry to transmit: chain.go joins them,
// and each is in a file step_*.go. What a registry is asked for is in the files upload*.go,
// manifest_*.go, lookup_*.go, blob*.go, pull.go, tags.go and referrers.go; what it does
// otherwise than others is in quirks.go. Tokens are in token*.go, and what `drayage doctor`
// tries is in probe*.go.
package registry
