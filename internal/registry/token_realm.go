package registry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/drayage/drayage/internal/loopback"
)

// realm is the address of the token service that a registry names. One that must not be
// asked is a *RealmError.
func (a *auth) realm(c challenge) (*url.URL, error) {
	u, err := url.Parse(c.params["realm"])
	if err != nil {
		return nil, &RealmError{registry: a.registry, err: errors.New("its address cannot be read")}
	}
	if err := a.mayAsk(u); err != nil {
		return nil, &RealmError{registry: a.registry, err: err}
	}
	return u, nil
}

// mayAsk says why credentials are not taken to an address. A registry could have us ask
// servers of our own network, which it does not reach itself.
func (a *auth) mayAsk(u *url.URL) error {
	where := a.host.client.tell(u.Scheme+"://"+u.Host, false)
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s is not an HTTP address", where)
	}
	if u.User != nil {
		return fmt.Errorf("%s contains a user name", where)
	}
	if allowed := a.host.endpoint.tokenService; allowed != nil && allowed.Scheme == u.Scheme && sameHost(allowed, u) {
		return nil
	}
	plain := a.host.endpoint.plain
	if u.Scheme == "http" && !plain {
		return fmt.Errorf("%s uses plain HTTP, and the registry uses HTTPS", where)
	}
	if itself := (&url.URL{Scheme: a.host.endpoint.scheme(), Host: a.registry}); sameHost(itself, u) {
		return nil
	}
	if isInternal(u.Hostname()) {
		return fmt.Errorf("%s is an address of a private network", where)
	}
	if loopback.Is(u.Hostname()) && !loopback.Is(a.registry) {
		return fmt.Errorf("%s is this machine", where)
	}
	return nil
}

// sameHost compares hosts without regard to case and to the ports that schemes have
// anyway.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// RealmError says that a registry sends its clients for tokens to where credentials are
// not taken: to an address of a private network, or from HTTPS to plain HTTP.
type RealmError struct {
	registry string
	err      error
}

func (e *RealmError) Error() string {
	return fmt.Sprintf("get a token: registry %s names a token service that must not be asked: %v; if that service is intended, set token_service in the settings of the registry",
		e.registry, e.err)
}

// Unwrap returns what is wrong with the service.
func (e *RealmError) Unwrap() error { return e.err }
