// Package operator is the daemon's HTTP JSON API as its clients see it: the
// documents that it answers with, and a client. The daemon's side is
// internal/web, which also serves the API's OpenAPI document.
package operator

// Problem is the answer to a request that failed (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitzero"`
}
