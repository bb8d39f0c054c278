package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// requests counts the exchanges of a kind.
func requests(fake *registrytest.Registry, name string) int {
	n := 0
	for _, e := range fake.Trace() {
		if e.Request == name {
			n++
		}
	}
	return n
}

// sent are the bytes that came in requests of a kind.
func sent(fake *registrytest.Registry, name string) int64 {
	var n int64
	for _, e := range fake.Trace() {
		if e.Request == name {
			n += e.Sent
		}
	}
	return n
}

// on makes a fault of the requests of a method to a part of the API.
func on(method, part string, fault registrytest.Fault) func(*http.Request) *registrytest.Fault {
	return func(r *http.Request) *registrytest.Fault {
		if r.Method == method && strings.Contains(r.URL.String(), part) {
			return &fault
		}
		return nil
	}
}

// first makes a fault of the first n requests that would have it.
func first(n int, fault func(*http.Request) *registrytest.Fault) func(*http.Request) *registrytest.Fault {
	var mu sync.Mutex
	return func(r *http.Request) *registrytest.Fault {
		f := fault(r)
		mu.Lock()
		defer mu.Unlock()
		if f == nil || n == 0 {
			return nil
		}
		n--
		return f
	}
}

func asAnswer(t *testing.T, err error) *registry.Error {
	t.Helper()
	answer, ok := errors.AsType[*registry.Error](err)
	if !ok {
		t.Fatalf("got error %v, want one of the registry's", err)
	}
	return answer
}

func TestASessionsQueryIsKeptByteForByte(t *testing.T) {
	const signed = "sig=%2f%2F+a%2Bb;c&k=2&k=1&=&e"
	var mu sync.Mutex
	var queries []string
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method != http.MethodPost && strings.Contains(r.URL.Path, "/uploads/") {
			mu.Lock()
			queries = append(queries, r.Method+" "+r.URL.RawQuery)
			mu.Unlock()
		}
		return &registrytest.Fault{Amend: func(status int, header http.Header) int {
			if location := header.Get("Location"); strings.Contains(location, "/uploads/") {
				header.Set("Location", location+"&"+signed)
			}
			return status
		}}
	}})
	data, digest := noise(1, 2<<20)
	repo := repository(t, fake, registry.Options{Quirks: map[string]registry.Quirks{fake.Host: {Chunk: 1 << 20}}})
	if _, err := push(t, repo, digest, &at{data: data}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"PATCH _state=0&" + signed,
		"PUT _state=1048576&" + signed + "&digest=" + url.QueryEscape(digest.String()),
	}
	if fmt.Sprint(queries) != fmt.Sprint(want) {
		t.Errorf("the queries were\n%s\nwant\n%s", strings.Join(queries, "\n"), strings.Join(want, "\n"))
	}
}

func TestRedirectsWithinTheRegistryAreFollowed(t *testing.T) {
	data, digest := noise(1, 100_000)
	// moved sends every request to where it is, with one more parameter.
	moved := func(status int) func(r *http.Request) *registrytest.Fault {
		return func(r *http.Request) *registrytest.Fault {
			if r.URL.Query().Has("moved") || r.Header.Get("Authorization") == "" {
				return nil
			}
			query := "moved"
			if r.URL.RawQuery != "" {
				query = r.URL.RawQuery + "&moved"
			}
			return &registrytest.Fault{Status: status, Header: http.Header{"Location": {"http://" + strings.ToUpper(r.Host) + r.URL.Path + "?" + query}}}
		}
	}
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusMovedPermanently, http.StatusFound} {
		fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", Fault: moved(status)})
		repo := repository(t, fake, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"},
			Quirks: map[string]registry.Quirks{fake.Host: {Chunk: 60_000}}})
		if _, _, err := repo.Head(t.Context(), "v1"); err != nil {
			t.Errorf("%d: look up a tag: %v", status, err)
		}
		if _, err := push(t, repo, digest, &at{data: data}); err != nil || !fake.HasBlob("acme/app", digest.String()) {
			t.Errorf("%d: push a blob: %v, after %v", status, err, fake.Trace())
		}
		if there, err := repo.HasBlob(t.Context(), digest); err != nil || !there {
			t.Errorf("%d: look up a blob: %t, %v", status, there, err)
		}
	}
}

func TestRedirectsThatLeadNowhereEndAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		location func(r *http.Request) string
		want     string
	}{
		"to itself":     {307, func(r *http.Request) string { return r.URL.String() }, "to the same address"},
		"to HTTPS":      {301, func(r *http.Request) string { return "https://" + r.Host + r.URL.String() }, "HTTPS"},
		"on and on":     {308, func(r *http.Request) string { return r.URL.Path + "?n=" + r.URL.RawQuery + "n" }, "too often"},
		"to a login":    {302, func(*http.Request) string { return "/login" }, "login"},
		"to a page":     {303, func(r *http.Request) string { return r.URL.Path + "?seen" }, "login"},
		"nowhere":       {307, func(*http.Request) string { return "" }, "Location"},
		"no redirect":   {304, func(r *http.Request) string { return r.URL.String() }, "304"},
		"to elsewhere":  {307, func(r *http.Request) string { return "http://elsewhere.test" + r.URL.String() }, "elsewhere.test"},
		"to other port": {307, func(r *http.Request) string { return "http://" + strings.Split(r.Host, ":")[0] + r.URL.String() }, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				return &registrytest.Fault{Status: c.status, Header: http.Header{"Location": {c.location(r)}}}
			}})
			data, digest := noise(1, 1000)
			repo := repository(t, fake, registry.Options{})
			_, err := push(t, repo, digest, &at{data: data})
			if err == nil || !strings.Contains(err.Error(), c.want) || fake.Total() > 6 {
				t.Errorf("got error %v after %d requests, want one with %q", err, fake.Total(), c.want)
			}
			if answer, ok := errors.AsType[*registry.Error](err); ok && answer.Passing() {
				t.Errorf("the error %v is said to pass", err)
			}
		})
	}
}

func TestAnswersThatNoRegistryGivesAreNotBelieved(t *testing.T) {
	page := registrytest.Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: "<html>Please log in</html>"}
	for name, fault := range map[string]registrytest.Fault{
		"a page":                {Status: page.Status, Header: page.Header, Body: page.Body},
		"201 and a page":        {Status: http.StatusCreated, Header: page.Header, Body: page.Body},
		"another protocol":      {Status: http.StatusSwitchingProtocols, Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"x"}}},
		"204 for all":           {Status: http.StatusNoContent},
		"200 and JSON":          {Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"ok":true}`},
		"202 and nothing":       {Status: http.StatusAccepted},
		"a status of its own":   {Status: 299},
		"an error of its own":   {Status: 799},
		"reset of the contents": {Status: http.StatusResetContent},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault { return &fault }})
			repo := repository(t, fake, registry.Options{})
			data, digest := noise(1, 1000)
			if _, found, _ := repo.Head(t.Context(), "v1"); found && fault.Body == "" {
				t.Error("a tag was found")
			}
			if _, found, _ := repo.Head(t.Context(), digest.String()); found {
				t.Error("a manifest was found")
			}
			if _, err := push(t, repo, digest, &at{data: data}); err == nil {
				t.Error("a blob was pushed")
			}
			if _, err := repo.PutManifest(t.Context(), "v1", "application/vnd.oci.image.index.v1+json", []byte(`{}`)); err == nil {
				t.Error("a manifest was written")
			}
		})
	}
}

func TestStorageOfBlobsIsAskedWithoutCredentials(t *testing.T) {
	data, digest := noise(1, 1000)
	for _, wants := range []bool{false, true} {
		var mu sync.Mutex
		var asked []string
		fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret"})
		fake.SetRules(registrytest.Rules{User: "ann", Password: "secret", Fault: func(r *http.Request) *registrytest.Fault {
			known := r.Header.Get("Authorization") != ""
			switch {
			case strings.HasPrefix(r.URL.Path, "/storage/"):
				mu.Lock()
				asked = append(asked, fmt.Sprint(known))
				mu.Unlock()
				// A store with a signature in the address takes no second way to log in.
				if known != wants {
					return &registrytest.Fault{Status: http.StatusForbidden}
				}
				return &registrytest.Fault{Status: http.StatusOK, Body: string(data)}
			case known && strings.Contains(r.URL.Path, "/blobs/"):
				return &registrytest.Fault{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"/storage/" + digest.Hex + "?sig=a+b"}}}
			}
			return nil
		}})
		repo := repository(t, fake, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"}})
		r, err := repo.ReadBlob(t.Context(), digest, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		r.Close()
		if want := map[bool]string{false: "[false]", true: "[false true]"}[wants]; fmt.Sprint(asked) != want {
			t.Errorf("the storage was asked with credentials %v, want %s", asked, want)
		}
		if there, err := repo.HasBlob(t.Context(), digest); err != nil || !there {
			t.Errorf("a blob that is stored there: %t, %v", there, err)
		}
	}
}

func TestAnotherHostNeverGetsCredentials(t *testing.T) {
	var mu sync.Mutex
	var shown []string
	data, digest := noise(1, 1000)
	elsewhere := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, r.Header.Get("Authorization"))
		if !strings.HasSuffix(r.URL.Path, "/again") {
			return &registrytest.Fault{Status: http.StatusFound, Header: http.Header{"Location": {r.URL.Path + "/again"}}}
		}
		return &registrytest.Fault{Status: http.StatusForbidden, Header: http.Header{"Www-Authenticate": {`Basic realm="x"`}}}
	}})
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", Fault: func(r *http.Request) *registrytest.Fault {
		if r.Header.Get("Authorization") != "" {
			return &registrytest.Fault{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"http://" + elsewhere.Host + r.URL.Path}}}
		}
		return nil
	}})
	repo := repository(t, fake, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"}})
	if r, err := repo.ReadBlob(t.Context(), digest, 0); err == nil {
		r.Close()
		t.Error("the blob was read")
	}
	_, _ = push(t, repo, digest, &at{data: data})
	if _, found, _ := repo.Head(t.Context(), "v1"); found {
		t.Error("a manifest was found")
	}
	_, _ = repo.PutManifest(t.Context(), "v1", indexType, emptyIndex)
	for _, authorization := range shown {
		if authorization != "" {
			t.Errorf("%q was shown to another host", authorization)
		}
	}
	if len(shown) == 0 {
		t.Error("the storage was not asked at all")
	}
}
