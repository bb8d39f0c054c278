package pull

import (
	"fmt"
	"mime"
	"net/http"
	"sync"
)

// pages remembers whether a server has answered with an HTML page instead of
// content, as proxies and logins do. Such an answer alone is not an error: some
// servers send this media type with everything.
type pages struct {
	inner http.RoundTripper

	mu  sync.Mutex
	url string
}

// RoundTrip implements [http.RoundTripper].
func (p *pages) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.inner.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind == "text/html" {
		p.mu.Lock()
		p.url = r.URL.Redacted()
		p.mu.Unlock()
	}
	return response, nil
}

// explain adds to an error what may be its cause, and forgets it.
func (p *pages) explain(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || p.url == "" {
		return err
	}
	err = fmt.Errorf("%w (%s answered with an HTML page: check that it is the registry, not a proxy or a login page)", err, p.url)
	p.url = ""
	return err
}
