package registry

import (
	"errors"
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestALocationIsOfTheSameRegistryHoweverItIsWritten(t *testing.T) {
	for _, c := range []struct {
		registry, location string
		// want is the address that is gone to, "" for none, and elsewhere the host that
		// is not.
		want, elsewhere string
	}{
		{"r.test", "/v2/a/blobs/uploads/1", "https://r.test/v2/a/blobs/uploads/1", ""},
		{"r.test", "1?x", "https://r.test/v2/a/blobs/uploads/1?x", ""},
		{"r.test", "https://r.test:443/u", "https://r.test/u", ""},
		{"r.test", "HTTPS://R.Test/u", "https://r.test/u", ""},
		{"r.test", "https://r.test./u", "https://r.test/u", ""},
		{"r.test", "http://r.test/u", "https://r.test/u", ""},
		{"r.test", "http://r.test:80/u", "https://r.test/u", ""},
		{"r.test", "http://r.test:443/u", "https://r.test/u", ""},
		{"r.test", "//r.test/u", "https://r.test/u", ""},
		{"r.test:443", "https://r.test/u", "https://r.test:443/u", ""},
		{"r.test:5000", "https://R.test:5000/u", "https://r.test:5000/u", ""},
		{"127.0.0.1:80", "http://127.0.0.1/u", "http://127.0.0.1:80/u", ""},
		{"[::1]:5000", "http://[::1]:5000/u", "http://[::1]:5000/u", ""},
		{"r.test", "https://ann:secret@r.test/u#part", "https://r.test/u", ""},
		{"r.test", "/u?_state=a+b%2Bc;d&k=1&k=2&sig=%2f%2F=&e", "https://r.test/u?_state=a+b%2Bc;d&k=1&k=2&sig=%2f%2F=&e", ""},
		{"r.test", "/a%2Fb/u?", "https://r.test/a%2Fb/u?", ""},
		{"r.test", "/u?a b", "https://r.test/u?a%20b", ""},

		{"r.test", "https://r.test:5000/u", "", "r.test:5000"},
		{"r.test:5000", "https://r.test/u", "", "r.test"},
		{"r.test", "http://r.test:5000/u", "", "r.test:5000"},
		{"r.test", "https://other.test/u", "", "other.test"},
		{"r.test", "https://r.test.evil/u", "", "r.test.evil"},
		{"r.test", "https://r.test@evil.test/u", "", "evil.test"},
		{"r.test", "//evil.test/u", "", "evil.test"},

		{"r.test", "", "", ""},
		{"r.test", "%zz", "", ""},
		{"r.test", "ftp://r.test/u", "", ""},
		{"r.test", "https:r.test/u", "", ""},
	} {
		client := New(Options{Keychain: authn.NewMultiKeychain()})
		t.Cleanup(client.Close)
		registry, err := name.NewRegistry(c.registry, name.StrictValidation)
		if err != nil {
			t.Fatal(err)
		}
		h := client.host(registry)
		asked, err := url.Parse(h.base + "/v2/a/blobs/uploads/")
		if err != nil {
			t.Fatal(err)
		}
		u, err := h.own(c.location, asked)
		switch {
		case c.want != "":
			if err != nil || u.String() != c.want {
				t.Errorf("%s: %s leads to %v (%v), want %s", c.registry, c.location, u, err, c.want)
			}
		case c.elsewhere != "":
			if elsewhere, ok := errors.AsType[*ElsewhereError](err); !ok || elsewhere.Host != c.elsewhere {
				t.Errorf("%s: %s leads to %v (%v), want it to be elsewhere", c.registry, c.location, u, err)
			}
		default:
			if !errors.Is(err, errNoLocation) {
				t.Errorf("%s: %s leads to %v (%v), want no address", c.registry, c.location, u, err)
			}
		}
	}
}
