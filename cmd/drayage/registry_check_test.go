package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// registryOf serves an empty registry on loopback, over plain HTTP.
func registryOf(t *testing.T) (host string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// put writes an image under a tag, and returns its digest.
func put(t *testing.T, image string) string {
	t.Helper()
	made, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, image, made)
	digest, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func write(t *testing.T, image string, made v1.Image) {
	t.Helper()
	tag, err := name.NewTag(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, made, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// record has a row written that says what was pushed.
func (d *testDaemon) record(t *testing.T, invocation string, e ledger.Entry) {
	t.Helper()
	d.enqueue(t, invocation, map[string]string{"//app:push": "a"})
	d.work(t, invocation, func(_ context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
		e.Target, e.InvocationID = job.Target, job.Invocation
		return e, nil
	})
}

func TestRegistriesAreAskedForWhatTheLedgerSays(t *testing.T) {
	d, host := newTestDaemon(t), registryOf(t)
	older, newer := put(t, host+"/acme/app:latest"), put(t, host+"/acme/app:latest")
	row := func(digest string) ledger.Entry {
		return ledger.Entry{Outcome: ledger.Pushed, Registry: host, Repository: "acme/app", Digest: digest, Tags: []ledger.Tag{{Name: "latest"}}}
	}
	// The older row does not hold the tag any more, and need not.
	d.record(t, "first", row(older))
	d.record(t, "second", row(newer))
	out, err := tool(t, "ledger", "verify", "--registry")
	if err != nil || !strings.Contains(out, "3 of 3 tags and digests are served as the ledger says") {
		t.Fatalf("what is served: %v\n%s", err, out)
	}

	// Somebody else moves the tag.
	stranger := put(t, host+"/acme/app:latest")
	out, err = tool(t, "ledger", "verify", "--registry")
	if want := "row 2: " + host + "/acme/app:latest is " + stranger + ", and the ledger says " + newer; err == nil || !strings.Contains(out, want) ||
		!strings.Contains(out, "2 of 3 ") {
		t.Errorf("a tag that was moved: %v, want it to contain %q\n%s", err, want, out)
	}

	// A push that failed may have moved it.
	failed := row(stranger)
	failed.Outcome = ledger.Failed
	d.record(t, "third", failed)
	if out, err = tool(t, "ledger", "verify", "--registry"); err != nil {
		t.Errorf("a tag that a failed push may have moved: %v\n%s", err, out)
	}

	// An image is not there any more.
	d.record(t, "fourth", ledger.Entry{Outcome: ledger.Present, Registry: host, Repository: "acme/none", Digest: older})
	out, err = tool(t, "ledger", "verify", "--registry")
	if want := "row 4: " + host + "/acme/none@" + older + " is not in the registry any more"; err == nil || !strings.Contains(out, want) {
		t.Errorf("an image that is gone: %v, want it to contain %q\n%s", err, want, out)
	}
	if out, err = tool(t, "ledger", "verify", "--registry", "--since", "2026-03-03"); err != nil || !strings.Contains(out, "0 of 0 ") {
		t.Errorf("nothing was pushed since: %v\n%s", err, out)
	}
}

func TestPlainHTTPIsForLoopbackAndThoseNamed(t *testing.T) {
	var reached []string
	guarded := &guardedTransport{plain: []string{"10.0.0.2:5000"}, next: roundTrip(func(r *http.Request) (*http.Response, error) {
		reached = append(reached, r.URL.String())
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})}
	for address, allowed := range map[string]bool{
		"http://127.0.0.1:5000/v2/": true, "http://[::1]:5000/v2/": true, "http://localhost/v2/": true,
		"http://10.0.0.2:5000/v2/": true, "http://10.0.0.1:5000/v2/": false, "https://10.0.0.1:5000/v2/": true, "http://ghcr.io/v2/": false,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := guarded.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
	if len(reached) != 5 {
		t.Errorf("reached are %v", reached)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
