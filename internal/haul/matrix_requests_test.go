package haul_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// matrixLayer is the size of the layer that the matrix's images have: large enough to
// come in chunks.
const matrixLayer = 3 << 19

// matrixAnswer is one way in which a request goes wrong.
type matrixAnswer struct {
	name string
	// fault is one, for one request.
	fault func(r *http.Request) *registrytest.Fault
}

func answered(status int) matrixAnswer {
	return matrixAnswer{fmt.Sprint(status), func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Status: status} }}
}

func amended(change func(status int, h http.Header) int) func(*http.Request) *registrytest.Fault {
	return func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Amend: change} }
}

func matrixAnswers() []matrixAnswer {
	var all []matrixAnswer
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 414, 415, 416, 422, 429, 500, 501, 502, 503, 504} {
		all = append(all, answered(status))
	}
	const other = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	return append(all,
		matrixAnswer{"429, `Retry-After: 900`", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"900"}}}
		}},
		matrixAnswer{"none", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{} }},
		matrixAnswer{"504, and it was done", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Status: 504, Late: true} }},
		matrixAnswer{"none, and it was done", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Late: true} }},
		matrixAnswer{"an HTML page", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>"}
		}},
		matrixAnswer{"200, and nothing done", func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Status: 200} }},
		matrixAnswer{"204, and it was done", amended(func(status int, _ http.Header) int {
			if status >= 300 {
				return status
			}
			return 204
		})},
		matrixAnswer{"another digest", amended(func(status int, h http.Header) int {
			h.Set("Docker-Content-Digest", other)
			return status
		})},
		matrixAnswer{"`MANIFEST_BLOB_UNKNOWN`", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 400, Code: "MANIFEST_BLOB_UNKNOWN"}
		}},
		matrixAnswer{"307, to the registry", func(r *http.Request) *registrytest.Fault {
			if r.URL.Query().Has("moved") {
				return nil
			}
			location := *r.URL
			location.RawQuery = strings.TrimPrefix(location.RawQuery+"&moved", "&")
			return &registrytest.Fault{Status: 307, Header: http.Header{"Location": {location.String()}}}
		}},
		matrixAnswer{"307, to elsewhere", func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Status: 307, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}}
		}},
	)
}

// matrixRequest is a kind of request, and a push that makes it.
type matrixRequest struct {
	// name is registrytest's.
	name string
	// settings, tags and rules are those of the push and the registry.
	settings registry.Settings
	tags     []string
	rules    registrytest.Rules
	// base is where the layer is beside the cache: "here", in the same registry, or
	// "elsewhere" and nowhere else.
	base string
	// broken cuts the first upload of the layer.
	broken bool
	// not are answers that this request cannot have, or for which they are right.
	not []string
}

func matrixRequests() []matrixRequest {
	no := false
	const done, digest, blobUnknown = ", and it was done", "another digest", "`MANIFEST_BLOB_UNKNOWN`"
	v1 := []string{"v1"}
	return []matrixRequest{
		{name: "HEAD tag", tags: v1, not: []string{done, digest, blobUnknown}},
		{name: "HEAD manifest", not: []string{done, digest, blobUnknown, "200, and"}},
		{name: "HEAD blob", tags: v1, settings: registry.Settings{Mounts: &no}, not: []string{done, blobUnknown, "200, and"}},
		{name: "POST mount from itself", tags: v1, not: []string{blobUnknown}},
		{name: "POST mount", tags: v1, base: "here", not: []string{blobUnknown}},
		{name: "POST upload", tags: v1, settings: registry.Settings{Mounts: &no}, not: []string{digest, blobUnknown}},
		{name: "PUT upload", tags: v1, not: []string{blobUnknown}},
		{name: "PATCH upload", tags: v1, settings: registry.Settings{Chunk: 1 << 20}, not: []string{digest, blobUnknown}},
		{name: "GET upload", tags: v1, broken: true, not: []string{done, digest, blobUnknown}},
		{name: "GET blob", tags: v1, base: "elsewhere", not: []string{done, digest, blobUnknown}},
		{name: "PUT manifest with tags", tags: []string{"v1", "v2"}, rules: registrytest.Rules{MultiTag: true}},
		{name: "PUT tag", tags: v1},
	}
}
