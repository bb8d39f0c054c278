package registry

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// FuzzHeaders: whatever the headers of an answer hold, credentials go nowhere else, and
// nobody waits longer than he may.
func FuzzHeaders(f *testing.F) {
	f.Add(`</v2/a/tags/list?n=1&last=b>; rel="next"`)
	f.Add(`<https://elsewhere.test/v2/>; rel=next`)
	f.Add(`<//registry.test:443/x y>; rel="next"`)
	f.Add("120")
	f.Add("1e300")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT")
	f.Add("0-1023")
	f.Add("bytes=0-9223372036854775807")
	f.Add("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Add("HTTPS://u:p@REGISTRY.test./v2/a/blobs/uploads/1?_state=a%2Bb#f")
	asked, err := url.Parse("https://registry.test/v2/a/tags/list?n=1000")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		stays := func(address string) {
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "https" || u.Host != "registry.test" || u.User != nil {
				t.Errorf("%q leads to %q, %v", header, address, err)
			}
			if _, err := http.NewRequest(http.MethodGet, address, nil); err != nil {
				t.Errorf("%q leads to what cannot be asked for: %v", header, err)
			}
		}
		if next, err := nextPage(asked.String(), header); err == nil && next != "" {
			stays(next)
		}
		if u, here, err := within(header, asked); err == nil && here {
			stays(u.String())
			stays(withQuery(u, "digest=a"))
		}
		answer := &http.Response{Header: http.Header{"Retry-After": {header}}}
		if wait, _ := retryAfter(answer, time.Unix(1_700_000_000, 0)); wait < 0 || wait > maxRetryAfter {
			t.Errorf("%q is to wait for %v", header, wait)
		}
		if end := rangeEnd(header); end < 0 {
			t.Errorf("%q ends at %d", header, end)
		}
		if hash := hashOf(header); hash != (v1.Hash{}) && hash.String() != header {
			t.Errorf("%q is the digest %s", header, hash)
		}
	})
}
