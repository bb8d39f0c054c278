package pull

import (
	"fmt"
	"mime"
	"net/http"
	"sync"
)

// pages remembers whether a server has answered with a page for people in the
// place of what it was asked for, as proxies and logins do. A page is no error by
// itself: some servers call everything one.
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
	err = fmt.Errorf("%w (%s answered with an HTML page: it may be a proxy or a login page instead of the registry)", err, p.url)
	p.url = ""
	return err
}
